"""Episodes for training: their files, their labels, their questions, and how they are recorded."""
