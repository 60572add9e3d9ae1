"""Our file formats, one owner module each; all stages meet here and nowhere else."""
