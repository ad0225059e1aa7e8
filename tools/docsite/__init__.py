"""The pages of the documentation that are made from the code, and the checks of all of them."""
