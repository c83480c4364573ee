"""THE DEMONSTRATION: shipped labelled questions, and a run of them through both frameworks. Not part of the library."""
