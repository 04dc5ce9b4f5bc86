"""Before a training: hyperparameter search (``search``), learning-rate range test (``lr_find``), speed here."""
