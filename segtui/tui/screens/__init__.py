"""The screens: five pages of the store, and the dialogs over them."""
