"""Training: the loop, its guards, and a state that resumes to the byte."""
