"""What ansible-playbook does, as one JSON object a line, on the descriptor that $BARTIZAN_EVENTS names.

An output plugin ("stdout callback") of ansible-core 2.12 and later. It prints nothing itself.
"""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: bartizan_events
    type: stdout
    short_description: events as lines of JSON
    description: One JSON object a line for each play, task and result, and the counts at the end.
"""

# Bytes of one text; an event with several stays well under what the reader takes as one line.
LONGEST = 4000
# A diff may be longer: it is what a dry run is for.
LONGEST_DIFF = 32000


def cut(text, longest=LONGEST):
    text = text if isinstance(text, str) else str(text)
    return text if len(text) <= longest else text[:longest] + " …"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "bartizan_events"

    def __init__(self):
        super().__init__()
        self.out = os.fdopen(int(os.environ["BARTIZAN_EVENTS"]), "w", buffering=1, encoding="utf-8", closefd=False)

    def tell(self, event, **fields):
        self.out.write(json.dumps({"event": event, **fields}) + "\n")

    # Plays and tasks.

    def v2_playbook_on_play_start(self, play):
        self.tell("play", name=cut(play.get_name()))

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.tell("task", name=cut(task.get_name()), action=cut(task.action))

    def v2_playbook_on_cleanup_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_handler_task_start(self, task):
        self.tell("task", name=cut("handler: " + task.get_name()), action=cut(task.action))

    def v2_playbook_on_no_hosts_matched(self):
        self.tell("note", text="no machine is meant by this play")

    def v2_playbook_on_no_hosts_remaining(self):
        self.tell("note", text="no machine is left")

    # Results. ansible has taken out what a task with no_log said.

    def result(self, result, status, item=False):
        values = result._result
        fields = {"host": cut(result._host.get_name()), "status": status, "item": item}
        if item:
            label = self._get_item_label(values)
            fields["label"] = "" if label is None else cut(label, 200)
        if status in ("failed", "unreachable", "ignored"):
            parts = [values.get("msg"), values.get("module_stderr"), values.get("stderr"), values.get("stdout")]
            fields["message"] = cut("\n".join(str(part).strip() for part in parts if part))
        elif result._task.action in ("debug", "ansible.builtin.debug") and not item:
            shown = {key: value for key, value in values.items() if not key.startswith("_") and key not in ("changed", "failed")}
            fields["message"] = cut(shown["msg"] if list(shown) == ["msg"] else json.dumps(shown, default=str))
        self.tell("result", **fields)

    def v2_runner_on_ok(self, result):
        self.result(result, "changed" if result._result.get("changed", False) else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self.result(result, "unreachable")

    def v2_runner_on_skipped(self, result):
        self.result(result, "skipped")

    def v2_runner_item_on_ok(self, result):
        self.result(result, "changed" if result._result.get("changed", False) else "ok", item=True)

    def v2_runner_item_on_failed(self, result):
        self.result(result, "failed", item=True)

    def v2_runner_item_on_skipped(self, result):
        self.result(result, "skipped", item=True)

    def v2_runner_retry(self, result):
        self.tell("note", text=cut("%s: is tried again" % result._host.get_name()))

    def v2_on_file_diff(self, result):
        values = result._result
        of_items = [one for one in values.get("results", ()) if isinstance(one, dict)] if result._task.loop else []
        for one in of_items or [values]:
            if one.get("diff") and one.get("changed", False):
                text = self._get_diff(one["diff"])
                if text:
                    self.tell("diff", host=cut(result._host.get_name()), text=cut(text, LONGEST_DIFF))

    # The end.

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        for host, counts in hosts.items():
            self.tell("host", host=cut(host), **counts)
        self.tell("end")
