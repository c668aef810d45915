"""Which projects a backend works on, under which address Label Studio reaches it, and what happens when it lets go of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest
from known_project import annotate, predicted, project, queued
from redis import Redis
from studio import BACKEND, KEY, Studio

from ml_backend.errors import Gone
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import discover, reconcile
from ml_backend.projects import links, reconcile_state, registry, stored_predictions
from ml_backend.projects.registry import Known
from ml_backend.queueing.queue import enqueue

ELSEWHERE = "http://another:9090"
NOTHING_OURS = "not connected to this backend"
GONE = "disconnected in Label Studio"


def somebody_else() -> list[str]:
    return ["cold-v1", "coldblitz-of-another-machine"]


def hooks(studio: Studio) -> list[str]:
    return sorted(hook["url"] for hook in studio.webhooks)


@pytest.fixture
def another(studio: Studio) -> None:
    """The project is another backend's, whose versions have names like ours."""
    studio.backends.clear()
    studio.webhooks.clear()
    studio.connect(ELSEWHERE, somebody_else, model_version="cold-v1")
    studio.add_task(1)
    predicted(studio, 1, "cold-v1")
    annotate(studio, 1, "2026-02-01T00:00:00Z")
    project(studio)["model_version"] = "cold-v1"


@pytest.mark.usefixtures("context")
class TestAProjectOfAnother:
    @pytest.mark.usefixtures("another")
    def test_is_left_alone(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        before = dict(project(studio)), list(studio.webhooks)
        assert "found 0 projects" in discover.within(context, "http://studio")
        assert reconcile.within(context, KEY) == NOTHING_OURS
        assert queued(redis) == []
        assert (project(studio), studio.webhooks) == before
        assert registry.known_keys(redis) == []
        assert registry.active_version(redis, KEY) is None

    @pytest.mark.usefixtures("another")
    def test_is_left_alone_though_label_studio_has_called_us_for_it_once(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        registry.remember(redis, Known(KEY, "<View/>"))
        assert reconcile.within(context, KEY) == NOTHING_OURS
        assert (queued(redis), registry.known_keys(redis)) == ([], [])

    def test_is_left_alone_without_any_backend(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.backends.clear()
        studio.add_task(1)
        assert reconcile.within(context, KEY) == NOTHING_OURS
        assert queued(redis) == []

    def test_with_no_versions_to_ask_for_is_left_alone(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.answering[BACKEND] = lambda: 404
        assert reconcile.within(context, KEY) == NOTHING_OURS
        assert queued(redis) == []


@pytest.mark.usefixtures("context")
class TestAProjectOfOurs:
    def test_is_asked_about_once_and_then_only_listed(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        for _ in range(3):
            reconcile.within(context, KEY)
        assert studio.asked_backends == [1]
        assert links.recall(redis, KEY) == links.Link(BACKEND, 1)
        assert 0 < redis.ttl(f"coldblitz:marks:{KEY}:entries") <= 3600

    def test_is_found_after_redis_was_lost(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        assert "found 1 project at" in discover.within(context, "http://studio")
        assert queued(redis) == ["reconcile"]

    def test_is_looked_for_rarely(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.answering[BACKEND] = somebody_else
        for _ in range(3):
            discover.within(context, "http://studio")
        assert studio.asked_backends == [1]

    def test_is_looked_for_again_soon_when_nobody_answered(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.answering[BACKEND] = lambda: 500
        discover.within(context, "http://studio")
        assert 0 < redis.ttl(f"coldblitz:asked:{KEY}") <= 60

    @pytest.mark.parametrize("status", [404, 405, 500, 401])
    def test_is_known_by_its_setup_where_it_cannot_be_asked(
        self, context: JobContext, studio: Studio, redis: Redis, status: int
    ) -> None:
        """Upstream's server has no such route; a proxy may let nobody through to it."""
        studio.answering[BACKEND] = lambda: status
        registry.remember(redis, Known(KEY, "<View/>"))
        studio.add_task(1)
        assert reconcile.within(context, KEY) == "1 task to suggest"
        assert hooks(studio) == [f"{BACKEND}/webhook"]

    def test_stays_ours_while_nobody_answers(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        reconcile.within(context, KEY)
        reconcile_state.drop(redis, KEY, "entries")
        studio.answering[BACKEND] = lambda: 500
        studio.add_task(1)
        assert reconcile.within(context, KEY) == "1 task to suggest"

    def test_stays_ours_when_another_release_answers_for_a_moment(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        reconcile.within(context, KEY)
        reconcile_state.drop(redis, KEY, "entries")
        ours, studio.answering[BACKEND] = studio.answering[BACKEND], somebody_else
        assert reconcile.within(context, KEY) == "nothing has changed"
        assert 0 < redis.ttl(f"coldblitz:marks:{KEY}:entries") <= 60
        reconcile_state.drop(redis, KEY, "entries")
        studio.answering[BACKEND] = ours
        reconcile.within(context, KEY)
        assert links.recall(redis, KEY) == links.Link(BACKEND, 1)

    def test_is_anothers_when_it_has_got_our_address(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        reconcile.within(context, KEY)
        studio.answering[BACKEND] = somebody_else
        reconcile_state.drop(redis, KEY, "entries")
        reconcile.within(context, KEY)
        reconcile_state.drop(redis, KEY, "entries")
        assert reconcile.within(context, KEY) == GONE


@pytest.mark.usefixtures("context")
class TestDisconnecting:
    @pytest.fixture(autouse=True)
    def let_go(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        """The project has a model and its predictions; then its ML backend is removed in Label Studio."""
        registry.remember(redis, Known(KEY, "<View/>", {"min_frames": 3}))
        (context.models_dir(KEY) / "cold-v1").mkdir(parents=True)
        for task in (1, 2):
            studio.add_task(task)
            predicted(studio, task, "cold-v1")
            stored_predictions.save(
                context.settings.data_dir, KEY, {"task": task, "model_version": "cold-v1", "result": []}
            )
        project(studio)["model_version"] = "cold-v1"
        studio.webhooks.append({"id": 9, "url": "http://chat/notify", "headers": {}, "project": 7})
        reconcile.within(context, KEY)
        assert registry.active_version(redis, KEY) == "cold-v1"
        studio.backends.clear()

    def test_our_webhook_goes_and_no_other(self, context: JobContext, studio: Studio) -> None:
        assert reconcile.within(context, KEY) == GONE
        assert hooks(studio) == ["http://chat/notify"]

    def test_nothing_more_is_done(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        for kind, task in (("predict", 1), ("suggest", 2)):
            enqueue(redis, kind, KEY, task)
        studio.predictions.clear()
        project(studio)["model_version"] = ""
        annotate(studio, 1, "2026-02-01T00:00:00Z")
        for _ in range(3):
            assert reconcile.within(context, KEY) == GONE
        assert queued(redis) == []
        assert project(studio)["model_version"] == ""
        assert hooks(studio) == ["http://chat/notify"]

    def test_jobs_on_it_find_out_by_themselves(self, context: JobContext, redis: Redis) -> None:
        with pytest.raises(Gone, match="is not connected to this backend"):
            open_project(context, KEY, sure=True)
        assert queued(redis) == ["reconcile"], "which says good-bye"
        reconcile.within(context, KEY)
        with pytest.raises(Gone, match="connect it in Label Studio"):
            open_project(context, KEY)

    def test_the_admin_is_told(self, context: JobContext, redis: Redis) -> None:
        registry.set_problems(redis, KEY, "labels", ["No example of the label “dog” yet."])
        reconcile.within(context, KEY)
        ((told,),) = registry.problems(redis).values()
        assert "disconnected" in told
        assert "Connect Model" in told

    def test_nothing_that_was_costly_is_forgotten(self, context: JobContext, redis: Redis) -> None:
        reconcile.within(context, KEY)
        discover.within(context, "http://studio")
        assert stored_predictions.tasks(context.settings.data_dir, KEY) == {1, 2}
        assert (context.models_dir(KEY) / "cold-v1").is_dir()
        assert not (context.models_dir(KEY).parent / ".gone").exists()
        assert registry.known_keys(redis) == [KEY]

    @pytest.mark.parametrize("address", [BACKEND, "http://moved:9191/below"])
    def test_connecting_it_again_brings_all_back(
        self, context: JobContext, studio: Studio, redis: Redis, address: str
    ) -> None:
        reconcile.within(context, KEY)
        studio.predictions = [p for p in studio.predictions if p["task"] == 1]
        project(studio)["model_version"] = ""
        annotate(studio, 1, "2026-02-01T00:00:00Z")
        studio.connect(address, lambda: links.answer(redis))
        reconcile_state.drop(redis, KEY, "entries")  # as /setup does
        assert reconcile.within(context, KEY) == "1 task to predict, annotations to learn from"
        assert queued(redis) == ["predict 2", "train"]
        assert (registry.active_version(redis, KEY), project(studio)["model_version"]) == ("cold-v1", "cold-v1")
        assert hooks(studio) == sorted(["http://chat/notify", f"{address}/webhook"])
        assert registry.problems(redis) == {}

    def test_another_backend_in_its_place_is_not_taken_for_us(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.connect(ELSEWHERE, lambda: 404)
        assert reconcile.within(context, KEY) == GONE
        assert hooks(studio) == [f"{ELSEWHERE}/webhook", "http://chat/notify"]

    def test_nor_at_its_address(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        reconcile.within(context, KEY)
        studio.connect(BACKEND, somebody_else)
        assert reconcile.within(context, KEY) == GONE


LOGIN = "Basic " + base64.b64encode(b"studio:secret").decode()


class TestTheAddress:
    """It is that of the ML backend entry: what a request shows of it, proxies change."""

    @pytest.fixture
    def guarded(self, context: JobContext) -> Iterator[JobContext]:
        """The backend asks for a login."""
        made = JobContext(replace(context.settings, basic_auth_user="studio", basic_auth_pass="secret"))
        yield made
        made.redis.close()

    @pytest.mark.parametrize("address", ["https://label.example/ml/coldblitz", "https://label.example/ml/coldblitz/"])
    def test_a_webhook_that_label_studio_has_not_made_is_made_there(
        self, context: JobContext, studio: Studio, redis: Redis, address: str
    ) -> None:
        studio.backends[0]["url"] = address
        studio.answering[address] = lambda: links.answer(redis)
        studio.webhooks.clear()
        for _ in range(2):
            reconcile.within(context, KEY)
        [hook] = studio.webhooks
        assert (hook["url"], hook["project"]) == ("https://label.example/ml/coldblitz/webhook", 7)
        assert hook["send_payload"]
        assert hook["send_for_all_actions"]

    def test_one_that_label_studio_refuses_is_told_and_the_rest_of_the_work_goes_on(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.webhooks.clear()
        studio.refuses_webhooks = True
        assert reconcile.within(context, KEY) is not None
        [told] = [text for text in registry.problems(redis)[KEY] if "cannot send annotations" in text]
        assert BACKEND in told
        studio.refuses_webhooks = False
        reconcile.within(context, KEY)
        assert hooks(studio) == [f"{BACKEND}/webhook"]
        assert not any("cannot send annotations" in text for text in registry.problems(redis).get(KEY, ()))

    def test_one_that_is_there_is_left_alone(self, context: JobContext, studio: Studio) -> None:
        before = [dict(hook) for hook in studio.webhooks]
        reconcile.within(context, KEY)
        assert studio.webhooks == before

    def test_it_carries_the_login_that_label_studio_leaves_out(
        self, guarded: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.webhooks[0]["headers"] = {"X-Ours": "kept"}
        studio.webhooks.append({"id": 9, "url": "http://chat/notify", "headers": {}, "project": 7})
        reconcile.within(guarded, KEY)
        assert [hook["headers"] for hook in studio.webhooks] == [{"X-Ours": "kept", "Authorization": LOGIN}, {}]

    def test_nobody_gets_the_login_who_has_not_said_that_he_is_us(
        self, guarded: JobContext, studio: Studio, redis: Redis
    ) -> None:
        registry.remember(redis, Known(KEY, "<View/>"))
        for answer in (somebody_else, lambda: 404, lambda: 500):
            reconcile_state.drop(redis, KEY, "entries")
            studio.answering[BACKEND] = answer
            reconcile.within(guarded, KEY)
            assert studio.webhooks[0]["headers"] == {}

    def test_the_webhook_at_the_former_address_goes(self, guarded: JobContext, studio: Studio, redis: Redis) -> None:
        reconcile.within(guarded, KEY)
        studio.backends[0]["url"] = "http://172.18.0.9:9090"
        studio.answering["http://172.18.0.9:9090"] = studio.answering.pop(BACKEND)
        reconcile.within(guarded, KEY)
        [hook] = studio.webhooks
        assert (hook["url"], hook["headers"]) == ("http://172.18.0.9:9090/webhook", {"Authorization": LOGIN})

    def test_unless_somebody_else_is_connected_there_now(
        self, guarded: JobContext, studio: Studio, redis: Redis
    ) -> None:
        reconcile.within(guarded, KEY)
        studio.backends[0]["url"] = "http://172.18.0.9:9090"
        studio.answering["http://172.18.0.9:9090"] = studio.answering.pop(BACKEND)
        studio.connect(BACKEND, somebody_else)
        reconcile.within(guarded, KEY)
        assert hooks(studio) == ["http://172.18.0.9:9090/webhook", f"{BACKEND}/webhook"]

    def test_a_webhook_that_an_earlier_release_has_made_at_the_address_of_a_request_goes(
        self, guarded: JobContext, studio: Studio, redis: Redis
    ) -> None:
        old = f'{{"key": "{KEY}", "label_config": "<View/>", "extra_params": null, "backend_url": "http://wrong"}}'
        redis.hset("coldblitz:projects", KEY, old)
        studio.webhooks.append({"id": 9, "url": "http://wrong/webhook", "headers": {"Authorization": LOGIN}})
        reconcile.within(guarded, KEY)
        [hook] = studio.webhooks
        assert (hook["url"], hook["headers"]) == (f"{BACKEND}/webhook", {"Authorization": LOGIN})


@pytest.mark.usefixtures("context")
class TestTwoBackends:
    def test_another_coldblitz_is_told_to_the_admin(self, context: JobContext, studio: Studio, redis: Redis) -> None:
        studio.connect(ELSEWHERE, somebody_else, model_version="cold-v4")
        studio.add_task(1)
        assert reconcile.within(context, KEY) == "1 task to suggest"
        ((told,),) = registry.problems(redis).values()
        assert ELSEWHERE in told
        studio.backends.pop()
        reconcile.within(context, KEY)
        assert registry.problems(redis) == {}

    @pytest.mark.parametrize("answer", [404, 405])
    def test_another_model_beside_ours_is_the_admins_choice(
        self, context: JobContext, studio: Studio, redis: Redis, answer: int
    ) -> None:
        studio.connect(ELSEWHERE, lambda: answer, model_version="sam2")
        reconcile.within(context, KEY)
        assert registry.problems(redis) == {}
        assert links.recall(redis, KEY) == links.Link(BACKEND, 1)

    def test_ours_is_the_one_that_says_so_wherever_it_stands(
        self, context: JobContext, studio: Studio, redis: Redis
    ) -> None:
        studio.answering[BACKEND] = somebody_else
        studio.connect("http://ours:9090", lambda: links.answer(redis))
        reconcile.within(context, KEY)
        assert links.recall(redis, KEY) == links.Link("http://ours:9090", 2)
