"""Bugs in a store: the memory store breaks a promise of its protocol."""
# ruff: noqa: E501 - the texts of other files, as they stand there

from ..harness import Look, Planted

COMMIT, STATE, STORE = (f"durable/stores/memory/{name}.py" for name in ("_commit", "_state", "_store"))

BUGS = [
    Planted(
        "A commit of an earlier owner is applied: nobody compares epochs",
        COMMIT,
        (
            (
                "return row if row is not None and (row.session, row.epoch) == (lease.session, lease.epoch) else None",
                "return row",
            ),
        ),
        (Look("simulate", "1 single writer"), Look("conformance", "test_a_")),
        quick=True,
    ),
    Planted(
        "A new owner gets the epoch of the one before",
        STORE,
        (("session, row.epoch + 1, None", "session, row.epoch, None"),),
        (Look("simulate", "1 single writer"), Look("conformance")),
    ),
    Planted(
        "A lease is given away although its holder lives",
        STORE,
        (("if row.session == session or not state.is_alive(row.session, now_ms):", "if True:"),),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="the epochs still fence out whoever lost it: workers only take turns",
    ),
    Planted(
        "The expected position of a history is not compared",
        COMMIT,
        (("if head != append.expected:", "if head < append.expected:"),),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="a second fence: no simulated fault gets past the first one, the epoch",
    ),
    Planted(
        "Messages are taken out of the inbox before it is known that the commit will be applied",
        COMMIT,
        (
            (
                "    documents = _documents(here, commit)\n",
                "    _remove(state, here, commit)\n    documents = _documents(here, commit)\n",
            ),
            (
                "    row.last_commit = commit.id\n    _remove(state, here, commit)\n",
                "    row.last_commit = commit.id\n",
            ),
        ),
        (Look("simulate"), Look("conformance")),
    ),
    Planted(
        "A repeated commit is not recognized",
        COMMIT,
        (("    if row.last_commit == commit.id:\n        return None\n", ""),),
        (Look("simulate"), Look("conformance")),
        quick=True,
    ),
    Planted(
        "A run may close over a message that nobody has read",
        COMMIT,
        (("            if unread:\n", "            if unread and commit.lease.epoch < 0:\n"),),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="the message must come just while the last commit of its run is on its way: one seed in hundreds",
    ),
    Planted(
        "A message that comes twice is kept twice",
        STATE,
        (("        if entry.id in here.entry_ids:\n            return\n", ""),),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="a second net: runs drop a repeat too",
    ),
    Planted(
        "A session ends, and its claims stay claimed",
        STORE,
        (
            (
                "        for row in state.owned_rows(session):\n            state.set_owner(row, None)\n            state.make_ready(row)\n",
                "        for row in state.owned_rows(session):\n",
            ),
        ),
        (Look("simulate"), Look("conformance")),
    ),
    Planted(
        "A session expires, and its claims stay claimed",
        STATE,
        (
            (
                "                for row in self.owned_rows(id_):\n                    self.make_ready(row)\n",
                "                for row in self.owned_rows(id_):\n",
            ),
        ),
        (Look("simulate"), Look("conformance")),
        quick=True,
    ),
    Planted(
        "Deliveries are not counted, so a task that kills its workers is never parked",
        STATE,
        (("            row.deliveries += 1\n", ""),),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="no simulated activity kills its worker each time",
    ),
    Planted(
        "A task may be completed by a worker that has lost it",
        STORE,
        (
            (
                "            row = self._state.held(session, claimed.task.id)\n            if row is None:\n                raise ClaimLost",
                "            row = self._state.tasks.get(claimed.task.id)\n            if row is None:\n                raise ClaimLost",
            ),
        ),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="a second net: runs drop an outcome that they do not wait for",
    ),
    Planted(
        "A task is acknowledged, and its outcome not written",
        STORE,
        (
            (
                "            self._state.append_entry(row.partition, row.task.inbox, entry, touched, self.now_ms())\n        self._state.topics.touch(touched)\n\n    async def unclaim",
                "        self._state.topics.touch(touched)\n\n    async def unclaim",
            ),
        ),
        (Look("simulate"), Look("conformance")),
    ),
    Planted(
        "A timer that is set again fires at its first time too",
        STATE,
        (
            (
                "    def set(self, due: Due) -> None:\n        self.remove(due.key)\n",
                "    def set(self, due: Due) -> None:\n",
            ),
        ),
        (Look("simulate", budget=100, finds=False), Look("conformance")),
        remark="no simulated timer is set again",
    ),
]
