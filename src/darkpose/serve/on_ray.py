"""The service as a deployment of Ray Serve: any number of replicas, on one machine or many, behind one address.

darkpose_app = service({"weights": "default"}, replicas=2)
ray.serve.run(darkpose_app, name="darkpose")
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from darkpose.predict.on_ray import check_actors
from darkpose.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application


def service(
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    replicas: int = 1,
    cpus: float = 1,
    gpus: float = 0,
) -> "Application":
    """The application for `ray.serve.run`; each replica has its own predictors, queue and limits.

    Args:
        options: of `Predictor`; its threads are `cpus` by default.
        settings: limits and the token.
        replicas: how many there are.
        cpus, gpus: of each replica.

    Raises:
        DarkposeError: there are no replicas, or the settings cannot be used.
        ModuleNotFoundError: Ray Serve is not installed.
    """
    from ray import serve

    check_actors(replicas)
    settings, chosen = settings or Settings(), {"threads": max(1, int(cpus)), **(options or {})}

    def build() -> "FastAPI":
        """In a replica."""
        from darkpose.serve.app import make_app
        from darkpose.serve.predictors import Predictors

        return make_app(Predictors(chosen), settings)

    deployment = serve.deployment(
        name="darkpose",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        max_ongoing_requests=settings.max_waiting,
    )
    return deployment(serve.ingress(build)()).bind()
