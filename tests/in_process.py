"""Carries the runs of a grid out in the test's own process, with a job that trains nothing."""
from cmim_mm.benchmark.run import End
from cmim_mm.benchmark.work import work


class InProcess:
    """An executor; ``done`` lists the names of the runs it began."""

    def __init__(self, folder, job):
        self.folder, self.job, self.done = folder, job, []

    def submit(self, name, attempt):
        self.done.append(name)
        work(str(self.folder), name, '', attempt, job=self.job)

    def ended(self, handle):
        return End()

    def stop(self):
        pass
