#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/python/agentsh_ebpf.py in asyncio, with synthetic tracers: no privilege is required."""
import asyncio

from support import Case, Thread, connect_event, descriptors, ebpf, main


class Asyncio(Case):
    def test_events_wake_the_task(self):
        tracer, session = self.synthetic()

        async def read():
            got = []
            async for event in tracer:
                got.append(event.cgroup_id)
                if len(got) == 3:
                    return got
                # the task waits again, and the next event comes from another thread
                asyncio.get_running_loop().run_in_executor(None, session.inject, connect_event(len(got)))

        session.inject(connect_event(0))
        self.assertEqual(asyncio.run(read()), [0, 1, 2])

    def test_batches(self):
        tracer, session = self.synthetic()
        for number in range(10):
            session.inject(connect_event(number))

        async def read():
            return [len(await tracer.read_async(4)) for _ in range(3)]

        self.assertEqual(asyncio.run(read()), [4, 4, 2])

    def test_cancellation(self):
        """A task that is cancelled while it waits leaves nothing behind and takes no event."""
        tracer, session = self.synthetic()

        async def run():
            before = descriptors()
            for number in range(20):
                task = asyncio.ensure_future(tracer.__anext__())
                while not tracer._waiters:
                    await asyncio.sleep(0)
                if number % 2:
                    session.inject(connect_event(number))
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                self.assertEqual(len(tracer._waiters), 0)
                self.assertEqual(descriptors(), before)
                if number % 2:
                    self.assertEqual([event.cgroup_id for event in await tracer.read_async()], [number])

        asyncio.run(run())

    def test_cancellation_at_any_moment(self):
        tracer, session = self.synthetic()
        count = 300

        async def run():
            got = []

            async def read():
                async for event in tracer:
                    got.append(event.cgroup_id)

            thread = Thread(lambda: [session.inject(connect_event(number)) for number in range(count)])
            turns = 0
            while len(got) < count:
                task = asyncio.ensure_future(read())
                for _ in range(turns % 7):
                    await asyncio.sleep(0)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                turns += 1
            thread.join()
            return got

        self.assertEqual(asyncio.run(run()), list(range(count)))

    def test_closed_by_another_thread(self):
        for _ in range(20):
            before = descriptors()
            tracer = ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC)

            async def read():
                task = asyncio.ensure_future(tracer.read_async())
                while not tracer._waiters:
                    await asyncio.sleep(0)
                Thread(tracer.close).join()
                self.assertEqual(await task, [])
                return [event async for event in tracer]

            self.assertEqual(asyncio.run(read()), [])
            self.assertEqual(descriptors(), before)

    def test_closed_by_another_task(self):
        tracer, session = self.synthetic()

        async def run():
            got = []

            async def read():
                async for event in tracer:
                    got.append(event.cgroup_id)
                return got

            task = asyncio.ensure_future(read())
            session.inject(connect_event(1))
            while not got:
                await asyncio.sleep(0)
            tracer.close()
            return await task

        self.assertEqual(asyncio.run(run()), [1])

    def test_a_flood_leaves_other_tasks_their_turn(self):
        """The ring never becomes empty, because the task injects an event for each that it reads."""
        tracer, session = self.synthetic()

        async def run():
            turns = 0

            async def other():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.ensure_future(other())
            session.inject(connect_event())
            async for _ in tracer:
                session.inject(connect_event())
                if turns >= 10:
                    break
            task.cancel()

        asyncio.run(run())

    def test_the_loop_watches_the_tracer_only_for_a_task_that_waits(self):
        """Otherwise events that nobody reads would keep the loop busy."""
        tracer, session = self.synthetic()

        async def run():
            watched = asyncio.get_running_loop()._selector.get_map()
            before = len(watched)
            task = asyncio.ensure_future(tracer.read_async())
            while not tracer._waiters:
                await asyncio.sleep(0)
            self.assertEqual(len(watched), before + 1)
            session.inject(connect_event(0))
            self.assertEqual([event.cgroup_id for event in await task], [0])
            self.assertEqual(len(watched), before)
            session.inject(connect_event(1))
            return [event.cgroup_id for event in await tracer.read_async()]

        self.assertEqual(asyncio.run(run()), [1])


main()
