"""Real data, found through SEGTUI_TEST_DATA, by default beside the project; tests skip without it."""

import gzip
import os
from pathlib import Path

import pytest

from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session

DATA = Path(os.environ.get("SEGTUI_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(scope="session")
def data():
    """Gives the path of a data set by its file name."""

    def find(name):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in {DATA}: set SEGTUI_TEST_DATA to the folder that holds it")
        return path

    return find


@pytest.fixture
def new_store(tmp_path):
    """Makes empty stores by name."""

    def make(name="a"):
        path = tmp_path / f"{name}.db"
        init(path)
        return path

    return make


@pytest.fixture(scope="session")
def cdnow(data):
    """CDNOW's header and rows as lines."""
    text = gzip.decompress(data("CDNOW_master.txt.gz").read_bytes()).decode().splitlines()
    return text[0], [row for row in text[1:] if row.strip()]


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cdnow):
    """A store with CDNOW up to 1998-01-31, trained with a cutoff of 1997-10-01 and a horizon of 90 days."""
    from segtui.operations.train import train

    folder = tmp_path_factory.mktemp("cdnow")
    header, rows = cdnow
    january = [row for row in rows if row.split()[1] <= "19980131"]
    week = [row for row in rows if "19980131" < row.split()[1] <= "19980207"]
    for name, part in (("january", january), ("week", week)):
        (folder / f"{name}.txt").write_text("\n".join([header, *part]) + "\n")
    init(folder / "shop.db")
    with open_session(folder / "shop.db") as s:
        import_files(s, [folder / "january.txt"])
        # The twin only tells what the model would have been worth, which no test asks of this one.
        train(s, cutoff=s.instant("1997-10-01"), horizon="90d", twin=False)
    return folder
