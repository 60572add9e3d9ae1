"""Work on a cluster: jobs of submitit on Slurm, or in processes of this machine."""
