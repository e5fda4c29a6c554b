"""Callbacks that note what they are told."""


class Recorder:
    """Notes the end of every task, and asks for a fitted estimator there; may stop passes."""

    def __init__(self, *, stop=False):
        self.stop, self.ends = stop, []

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        parent = context.parent.task_name if context.parent else None
        self.ends.append((context.task_name, context.task_id, parent, fitted_estimator))
        return self.stop and context.task_name == "pass"


class DeepRecorder(Recorder):
    """The same for the tasks of estimators inside the estimator, however deep."""

    max_propagation_depth = None
