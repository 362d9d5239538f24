"""What every rendered set of manifests must have: closed-off pods, probes, and references that resolve."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]
_WORKLOADS = {"Deployment", "StatefulSet", "Job"}


def rule_violations(resources: list[Resource]) -> list[str]:
    """One line for each broken rule in a rendered set."""
    workloads = [resource for resource in resources if resource["kind"] in _WORKLOADS]
    found = [
        f"{_label(workload)}: {text}"
        for workload in workloads
        for text in _pod_violations(workload["spec"]["template"]["spec"], workload["kind"])
    ]
    return found + _selector_violations(resources, workloads) + _reference_violations(resources)


def _label(resource: Resource) -> str:
    return f"{resource['kind']}/{resource['metadata']['name']}"


def _pod_violations(pod: Resource, kind: str) -> list[str]:
    context = pod.get("securityContext", {})
    wanted = {
        "runAsNonRoot": context.get("runAsNonRoot") is True,
        "a numeric runAsUser": context.get("runAsUser", 0) > 0,
        "seccompProfile RuntimeDefault": context.get("seccompProfile")
        == {"type": "RuntimeDefault"},
        "automountServiceAccountToken: false": pod.get("automountServiceAccountToken") is False,
    }
    for container in pod["containers"]:
        wanted |= {
            f"{container['name']}: {k}": v for k, v in _container_rules(container, kind).items()
        }
    if kind != "Job":
        drains = [_flag(container, "--drain-seconds") for container in pod["containers"]]
        grace = pod.get("terminationGracePeriodSeconds", 30)
        wanted["terminationGracePeriodSeconds above --drain-seconds"] = all(
            drain is not None and grace > float(drain) for drain in drains
        )
    return [f"misses {what}" for what, holds in wanted.items() if not holds]


def _container_rules(container: Resource, kind: str) -> dict[str, bool]:
    context = container.get("securityContext", {})
    resources = container.get("resources", {})
    version = container["image"].rpartition(":")[2] if ":" in container["image"] else "latest"
    rules = {
        "allowPrivilegeEscalation: false": context.get("allowPrivilegeEscalation") is False,
        "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is True,
        "capabilities drop ALL": context.get("capabilities", {}).get("drop") == ["ALL"],
        "requests of cpu and memory": {"cpu", "memory"} <= set(resources.get("requests", {})),
        "a limit of memory": "memory" in resources.get("limits", {}),
        "a version of its image": version != "latest",
    }
    if kind != "Job":
        grpc_ports = {port["containerPort"] for port in container.get("ports", [])}
        for name, service in (("startup", ""), ("readiness", ""), ("liveness", "live")):
            probe = container.get(f"{name}Probe", {}).get("grpc", {})
            rules[f"a gRPC {name} probe of {service or 'the whole server'!r} on a port of it"] = (
                probe.get("service") == service and probe.get("port") in grpc_ports
            )
    return rules


def _flag(container: Resource, name: str) -> str | None:
    values = [
        word.partition("=")[2] for word in container.get("args", []) if word.startswith(name + "=")
    ]
    return values[-1] if values else None


def _selector_violations(resources: list[Resource], workloads: list[Resource]) -> list[str]:
    pods = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads]
    found = []
    for resource in resources:
        kind, spec = resource["kind"], resource.get("spec", {})
        if kind == "Service":
            labels = spec["selector"]
        elif kind in ("PodDisruptionBudget", *(_WORKLOADS - {"Job"})):
            labels = spec["selector"]["matchLabels"]
        elif kind == "NetworkPolicy":
            labels = spec["podSelector"].get("matchLabels", {})
            if "automot-client" in labels:
                continue  # Clients are not part of every set.
        else:
            continue
        if not any(labels.items() <= pod.items() for pod in pods):
            found.append(f"{_label(resource)} selects no pod")
    return found


def _reference_violations(resources: list[Resource]) -> list[str]:
    present = {_label(resource) for resource in resources}
    found = []
    for resource in resources:
        if resource["kind"] == "HorizontalPodAutoscaler":
            target = resource["spec"]["scaleTargetRef"]
            if f"{target['kind']}/{target['name']}" not in present:
                found.append(
                    f"{_label(resource)} scales {target['kind']}/{target['name']}, which is not there"
                )
        if (
            resource["kind"] == "StatefulSet"
            and f"Service/{resource['spec']['serviceName']}" not in present
        ):
            found.append(f"{_label(resource)} names a Service that is not there")
    return found
