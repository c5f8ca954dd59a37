"""Bugs in the engine and what is below it: decisions, ownership, replay."""
# ruff: noqa: ISC004 - the texts of other files, as they stand there

from ..harness import Look, Planted

ENGINE, RUNTIME = "durable/_engine/", "durable/_runtime/"
SIMULATE = (Look("simulate"),)

BUGS = [
    Planted(
        "What was read is acknowledged in a commit of its own, before the history is written",
        ENGINE + "commits.py",
        (
            (
                "        commits = [prepared.commit for prepared in batch]\n        sent_s",
                "        commits = [prepared.commit for prepared in batch]\n"
                "        acks = [Commit(c.lease, c.id + '/read', consumed=c.consumed) for c in commits]\n"
                "        for commit in commits:\n            commit.consumed, commit.newest = [], None\n"
                "        try:\n            await self._store.commit(acks)\n        except StoreError:\n            pass\n"
                "        for prepared in batch:\n            prepared.owned.last_commit = None\n        sent_s",
            ),
        ),
        SIMULATE,
        quick=True,
    ),
    Planted(
        "A commit whose outcome is unknown is sent again under a new id",
        ENGINE + "commits.py",
        (
            (
                "                attempt += 1\n",
                "                attempt += 1\n"
                "                commits = [__import__('dataclasses').replace(c, id=f'{c.id}/{attempt}') for c in commits]\n",
            ),
        ),
        SIMULATE,
        quick=True,
    ),
    Planted(
        "Two commits of one partition are under way at once",
        ENGINE + "commits.py",
        (("                await asyncio.wait(before)\n", "                pass\n"),),
        (Look("simulate:4", budget=100),),
    ),
    Planted(
        "A refused commit takes the messages with it that it was made of",
        ENGINE + "completion.py",
        (("        stepped.mailbox.deliveries[:0] = stepped.deliveries\n", ""),),
        SIMULATE,
    ),
    Planted(
        "A run is stepped while its last step is on its way to the store",
        ENGINE + "owned.py",
        (("            mailbox.busy = True\n", ""),),
        SIMULATE,
    ),
    Planted(
        "A new owner does not read the timers that are there",
        ENGINE + "owned.py",
        (
            (
                "        self.horizon_ms = 0  # dues up to here are known\n        self.refresh_ms = 0 ",
                "        self.horizon_ms = FOREVER_MS  # dues up to here are known\n        self.refresh_ms = FOREVER_MS ",
            ),
        ),
        SIMULATE,
        quick=True,
    ),
    Planted(
        "Timers fire 200 ms early",
        ENGINE + "owned.py",
        (
            (
                "        while self._heap and self._heap[0][0] <= now_ms:\n",
                "        while self._heap and self._heap[0][0] <= now_ms + 200:\n",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "The cache keeps the executions of a partition that was lost",
        ENGINE + "cache.py",
        (("if owner == partition]", "if owner < 0]"),),
        SIMULATE,
    ),
    Planted(
        "Local results are dropped when their partition is lost",
        ENGINE + "engine.py",
        (
            (
                "            deliveries, mailbox.deliveries = mailbox.deliveries, []\n",
                "            deliveries = list[Delivery]()\n",
            ),
        ),
        (Look("simulate:4", budget=150, finds=False),),
        remark="the worker finds the claims that it does not know of, hands them back, and the activities run again",
    ),
    Planted(
        "Messages to other runs are sent before the commit that asks for them",
        ENGINE + "engine.py",
        (
            (
                "            answers = await self._committer.send(batch)\n",
                "            for prepared in batch:\n                self._outbox.send(prepared.owned, prepared.commit.outgoing)\n"
                "            answers = await self._committer.send(batch)\n",
            ),
            ("            if refusal is None and prepared.commit.outgoing:\n", "            if False:\n"),
        ),
        (Look("simulate", "3 outbox"),),
        quick=True,
    ),
    Planted(
        "What an earlier owner did not get to send is forgotten",
        ENGINE + "engine.py",
        (
            (
                "        self._spawn(self._outbox.take_over(owned))\n",
                "        owned.held = None\n",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "A commit does not say which one it follows: a store that fell back takes it",
        ENGINE + "commits.py",
        (("prepared.commit.follows = prepared.owned.last_commit", "prepared.commit.follows = None"),),
        (Look("simulate", budget=100),),
        quick=True,
    ),
    Planted(
        "An engine that has nothing to commit does not look whether its store fell back",
        ENGINE + "lost.py",
        (("    if not idle:\n", "    if idle:\n"),),
        (Look("simulate:4"),),
    ),
    Planted(
        "A signal that comes twice is recorded twice",
        ENGINE + "steps/_messages.py",
        (("    if run is not None and not run.signals.knows(message.request):\n", "    if run is not None:\n"),),
        (Look("simulate:4", "4 delivery order", 30), Look("executions:drops_repeats")),
        quick=True,
    ),
    Planted(
        "The late result of an earlier attempt counts for the one that runs",
        ENGINE + "steps/_activities.py",
        ((" or (attempt is not None and command.attempt != attempt):\n", ":\n"),),
        (Look("simulate", budget=100, finds=False), Look("executions:has_a_sound_history")),
        quick=True,
    ),
    Planted(
        "The signals that a run did not read are lost when it continues as new",
        ENGINE + "steps/_continuing.py",
        (("        signals=run.signals.unread(),\n", ""),),
        SIMULATE,
        quick=True,
    ),
    Planted(
        "The next run of a chain does not know which calls were answered before",
        ENGINE + "steps/_continuing.py",
        (("        requests=run.signals.requests(_limits.REQUESTS_CARRIED_MAX),\n", ""),),
        SIMULATE,
    ),
    Planted(
        "A parent is not told how its child ended",
        ENGINE + "effects/_children.py",
        (
            (
                "    if parent is None or message is None:\n",
                "    if parent is None or message is None or message.status:\n",
            ),
        ),
        SIMULATE,
        quick=True,
    ),
    Planted(
        "The end of a child that is faster than the word of its start is dropped",
        ENGINE + "steps/_children.py",
        (
            (
                "        deliver(execution, ChildStarted(at=now_ms, id=message.id, run_id=message.child_run), decision)\n"
                "        if _pending(",
                "        return\n        if _pending(",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "A child's cancellation overtakes its start",
        ENGINE + "outbox.py",
        (("            way = (item.workflow_id, item.target)\n", "            way = (item.workflow_id, entry.id)\n"),),
        SIMULATE,
    ),
    Planted(
        "An update that comes again is carried out again",
        ENGINE + "steps/_updates.py",
        (("    if accepted_by is not None:\n", "    if accepted_by == '':\n"),),
        SIMULATE,
    ),
    Planted(
        "The next run of a chain does not know which updates were accepted before",
        ENGINE + "steps/_continuing.py",
        (("        updates=dict(list(run.updates.taken.items())[-_limits.REQUESTS_CARRIED_MAX :]),\n", ""),),
        SIMULATE,
    ),
    Planted(
        "A replayed update is completed once more",
        RUNTIME + "updates.py",
        (
            (
                "                run.matcher.observe(recorded, lambda: self._completed(id, update, name, handler, result, error))\n"
                "            return\n",
                "                run.matcher.observe(recorded, lambda: self._completed(id, update, name, handler, result, error))\n",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "The close of a run leaves its children as they are",
        ENGINE + "effects/_children.py",
        (('    if event.parent_close == "abandon":\n', '    if event.parent_close != "abandon":\n'),),
        SIMULATE,
    ),
    Planted(
        "The task of a cancelled activity stays in its queue",
        ENGINE + "effects/_activities.py",
        (("    decision.drop_task(task_id(run.run_id, command.id, command.attempt))\n", ""),),
        SIMULATE,
    ),
    Planted(
        "The timer that was cancelled stays in the store",
        ENGINE + "effects/_timers.py",
        (('    decision.drop_due(due_key(run.run_id, command.id, "timer"))\n', "    pass\n"),),
        SIMULATE,
    ),
    Planted(
        "The time limit of a run is not set",
        ENGINE + "effects/_runs.py",
        (
            (
                "    if started.timeout_ms is not None:\n",
                "    if started.timeout_ms is None:\n        return\n    if started.timeout_ms < 0:\n",
            ),
        ),
        (Look("simulate", budget=100, finds=False), Look("executions:ends_in_time")),
    ),
    Planted(
        "An activity is tried once more than its policy says",
        ENGINE + "retries.py",
        (
            (
                "    counted = command.attempt - command.attempts_before\n",
                "    counted = command.attempt - command.attempts_before - 1\n",
            ),
        ),
        (Look("simulate"), Look("executions:gives_up_in_time")),
    ),
    Planted(
        "After a replay, a retried activity is at its first attempt again",
        RUNTIME + "replay.py",
        (("            run.note(event)\n        else:\n", "            run.events_seen += 1\n        else:\n"),),
        SIMULATE,
    ),
    Planted(
        "A retry does not count the attempt",
        RUNTIME + "commands/activity.py",
        (
            (
                "            self.attempt, self.retry_due_ms = event.attempt + 1, event.due_ms\n",
                "            self.attempt, self.retry_due_ms = event.attempt, event.due_ms\n",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "The replay of a cancellation asks for it anew",
        RUNTIME + "commands/activity.py",
        (
            ("                run.given_up.append(self)\n", "                pass\n"),
            (
                "        if not waits:\n            del run.commands[self.id]\n",
                "        if not waits:\n            run.given_up.append(self)\n            del run.commands[self.id]\n",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "The random numbers of a run depend on the time",
        RUNTIME + "run.py",
        (
            (
                "            self._random = run_random(self.seed)\n",
                "            self._random = run_random(f\"{self.seed}/{__import__('time').time_ns()}\")\n",
            ),
        ),
        (Look("deterministic:pack", budget=200),),
    ),
    Planted(
        "Signals are read last in, first out",
        RUNTIME + "signals.py",
        (
            (
                "        return buffer.popleft().signal.value if buffer else None\n",
                "        return buffer.pop().signal.value if buffer else None\n",
            ),
        ),
        (Look("simulate", budget=100, finds=False), Look("executions:keeps_the_order")),
    ),
    Planted(
        "The note of why a run was stuck is never cleared",
        ENGINE + "commits.py",
        (('            note="" if clears else None,\n', "            note=None,\n"),),
        (Look("simulate", finds=False, budget=50),),
        remark="nothing gets stuck in a simulation; `tests/invariants/test_08_stuck_runs.py` finds it",
    ),
    Planted(
        "A worker gives up on an outcome that it could not write at once",
        "durable/worker/_delivery.py",
        (
            (
                '                logger.warning("%s could not be written, next try in %g s: %s", what, pause_s, error)\n',
                '                return logger.warning("%s could not be written: %s", what, error)\n',
            ),
        ),
        (Look("simulate:4", budget=150, finds=False),),
        remark="the task is handed back as one that nobody runs, and runs again; `tests/worker/test_claims.py` finds it",
    ),
    Planted(
        "A client that repeats its signal takes a new request id",
        "durable/client/_line.py",
        (
            (
                "partial(self.store.send, self.partition, entry, id=run_id,",
                "lambda r=run_id: self.store.send(self.partition, message_entry(self.clock.new_id(), self.workflow_id,"
                " replace(message, run_id=r, request=self.clock.new_id()) if getattr(message, 'request', '')"
                " else replace(message, run_id=r)), id=r,",
            ),
        ),
        SIMULATE,
    ),
    Planted(
        "A client whose signal has arrived is told that the run is closed",
        "durable/client/_line.py",
        (
            (
                "        if await self.insist(lambda: has_recorded(",
                "        if not request and await self.insist(lambda: has_recorded(",
            ),
        ),
        (Look("simulate:4", budget=300),),
    ),
    Planted(
        "A child that is to be abandoned is terminated with its parent",
        ENGINE + "effects/_children.py",
        (('    if event.parent_close == "abandon":\n', '    if event.parent_close == "never":\n'),),
        (Look("simulate", "parent close"),),
    ),
    Planted(
        "The time limit of an attempt that others are to end stays when it is tried anew",
        ENGINE + "steps/_activities.py",
        (("    effects.drop_deferral(run, command, decision)\n", ""),),
        SIMULATE,
    ),
    Planted(
        "Runs of a pinned version are in the inbox of their queue: whoever is there steps them",
        "durable/_ids.py",
        (('{version}" if pinned else queue', '{version}" if pinned and not version else queue'),),
        SIMULATE,
    ),
    Planted(
        "A policy for a workflow id that was used holds only if nobody else starts it meanwhile",
        "durable/client/_placing.py",
        (('expects = "" if seen is None else seen.id\n', "expects = None\n"),),
        (Look("simulate", "workflow ids", budget=400),),
    ),
    Planted(
        "The time limit of a chain begins anew with each of its runs",
        ENGINE + "steps/_continuing.py",
        (("        deadline_ms=run.deadline_ms,\n", ""),),
        (Look("simulate", "time limits", budget=400),),
    ),
    Planted(
        "A fork lacks the last event of what it was to have",
        "durable/history/_forks.py",
        (("    for recorded in effective(history[:at]):\n", "    for recorded in effective(history[: at - 1]):\n"),),
        SIMULATE,
    ),
    Planted(
        "A replay tells interceptors that it is none",
        RUNTIME + "around.py",
        (
            (
                "        return self._run.replaying or self._run.aborted is not None ",
                "        return self._run.aborted is not None ",
            ),
        ),
        (Look("simulate", "interceptors"),),
    ),
    Planted(
        "A run ends without waiting for its handlers",
        RUNTIME + "run.py",
        (("(main.done() and not self.calls.busy)", "main.done()"),),
        SIMULATE,
    ),
]
