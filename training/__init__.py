"""How the built-in model is made: mine, pair, train, evaluate, export. Not part of the installed package."""
