"""Readers of the corpus formats: text in, instances out. One module per format; the table of tasks is in `tasks`.

"The original" is the code of Liu et al. (2019), github.com/nelson-liu/contextual-repr-analysis: the module that a
reader names stands there in `contexteval/data/dataset_readers/`.
"""
