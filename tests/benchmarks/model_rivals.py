"""What a model is judged beside, and ours: functions from a split to probabilities of its test users."""

import warnings

import numpy as np
import polars as pl
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from engine.encoding import Encoder
from engine.evaluation import MONETARY, Sample, plain_models
from engine.model import Model
from engine.models import KINDS
from engine.scoring import Scorer
from engine.splits import EARLIER, TEST, TRAIN, VALID
from engine.training import Inputs, train
from engine.training_spec import TrainingSpec

# LightGBM's small search; the rounds of each are chosen on the validation users, as our epochs are.
LEAVES = (4, 8, 16)
LEAST_IN_LEAF = (20, 100)


def plain(split):
    """Majority, recency and frequency, RFM quintiles, logistic: those that `evaluate` shows."""
    known = split.parts != TEST
    learnt = Sample(split.latest.frame.filter(pl.Series(known)), split.labels[known])
    return plain_models(learnt, Sample(split.test.frame, split.truth), len(split.case.names))


def past_spend(split):
    """Logistic regression on what was spent so far; None where nothing was."""
    name = next((each for each in MONETARY if each in split.latest.frame.columns), None)
    if name is None:
        return None
    learnt, asked = _encoded(split, [name])
    known = split.parts != TEST
    model = LogisticRegression().fit(learnt[known], split.labels[known])
    return model.predict_proba(asked)


def sklearn_mlp(split):
    """MLPClassifier as one would set it up: scaled inputs, 64-32, early stopping on a tenth."""
    learnt, asked = _encoded(split)
    model = MLPClassifier((64, 32), early_stopping=True, max_iter=200, random_state=split.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(learnt[split.parts != TEST], split.labels[split.parts != TEST])
    return model.predict_proba(asked)


def lightgbm(split, earlier=False):
    """The best on the validation users of a small search, fitted once more on them too, over the features as
    they are; with the earlier cutoffs' rows too where asked for."""
    import lightgbm as lgb

    learners, valid = split.parts == TRAIN, split.parts == VALID
    x, asked = _raw(split, split.latest.frame), _raw(split, split.test.frame)
    rows, labels = [x[learners]], [split.labels[learners]]
    others, theirs = [x[valid]], [split.labels[valid]]
    for snapshot, targets, parts in split.earlier if earlier else ():
        raw, learnt = _raw(split, snapshot.frame), parts == TRAIN + EARLIER
        rows.append(raw[learnt])
        labels.append(targets[learnt])
        others.append(raw[~learnt])
        theirs.append(targets[~learnt])
    everybody = lgb.Dataset(np.concatenate([*rows, *others]), np.concatenate([*labels, *theirs]))
    rows = lgb.Dataset(np.concatenate(rows), np.concatenate(labels), free_raw_data=False)
    held_out = lgb.Dataset(x[valid], split.labels[valid], reference=rows, free_raw_data=False)
    found = []
    for leaves in LEAVES:
        for least in LEAST_IN_LEAF:
            settings = {
                "objective": "multiclass",
                "num_class": len(split.case.names),
                "num_leaves": leaves,
                "min_data_in_leaf": least,
                "learning_rate": 0.03,
                "bagging_fraction": 0.8,
                "bagging_freq": 1,
                "feature_fraction": 0.8,
                "feature_pre_filter": False,
                "seed": split.seed,
                "num_threads": 1,
                "verbose": -1,
            }
            stop = lgb.early_stopping(30, verbose=False)
            model = lgb.train(settings, rows, 600, valid_sets=[held_out], callbacks=[stop])
            loss = model.best_score["valid_0"]["multi_logloss"]
            found.append((loss, len(found), settings, model.best_iteration))
    _, _, settings, rounds = min(found)
    return lgb.train(settings, everybody, rounds).predict(asked)


def ours(split, kind, earlier=True):
    """Our model of a kind by its defaults; None where it reads sequences and there are none."""
    own = KINDS[kind]
    if own.reads_sequences and split.latest.cells is None:
        return None
    blocks = [(split.latest, split.labels, split.parts)]
    blocks += split.earlier if earlier else []
    columns = [name for name in split.latest.frame.columns if name != "user"]
    learners = split.latest.frame.filter(pl.Series(split.parts == TRAIN))
    encoder = Encoder.fit(learners, columns, kind=own.encoding)
    cells = np.concatenate([each.cells for each, _, _ in blocks]) if own.reads_sequences else None
    trained = train(
        kind,
        Inputs(encoder.transform(pl.concat([each.frame for each, _, _ in blocks])), cells),
        np.concatenate([labels for _, labels, _ in blocks]),
        np.concatenate([parts for _, _, parts in blocks]),
        len(split.case.names),
        TrainingSpec(seed=split.seed, **own.training),
        users=np.concatenate([each.users for each, _, _ in blocks]),
    )
    case = split.case
    binned = case.sequence_spec if own.reads_sequences else None
    model = Model(kind, case.names, case.spec, binned, encoder, {}, {}, trained.parameters)
    asked = split.test.cells if own.reads_sequences else None
    return Scorer(model).scores(split.test.frame, asked) / 1_000_000


def _encoded(split, columns=None):
    """The latest and the test users as the logistic baseline reads them."""
    columns = columns or [name for name in split.latest.frame.columns if name != "user"]
    encoder = Encoder.fit(split.latest.frame.filter(pl.Series(split.parts == TRAIN)), columns)
    return encoder.transform(split.latest.frame), encoder.transform(split.test.frame)


def _raw(split, frame):
    """Numbers as they are, texts as the codes of the training users' categories."""
    columns = [name for name in split.latest.frame.columns if name != "user"]
    learners = split.latest.frame.filter(pl.Series(split.parts == TRAIN))
    return Encoder.fit(learners, columns).raw(frame)
