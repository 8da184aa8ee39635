"""The list of a plugin's components (SBOM), in the formats SPDX 2.3 and CycloneDX 1.6.

It is read from the finished root file system: the metadata of its Python packages, and the list
of Debian packages that `tools.rootfs.assemble` writes. The same file system gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tools.common.errors import BuildError

DEBIAN_PACKAGES: Final = "usr/share/doc/evercan/debian-packages"
RELEASE: Final = "debian-13"
"""The distribution of the Debian packages, as package URLs name it."""


@dataclass(frozen=True, order=True)
class Component:
    """A package in the root file system.

    Attributes:
        name: The package's name.
        version: Its version.
        purl: Its package URL (https://github.com/package-url/purl-spec).
        licence: An SPDX expression; empty if the metadata has none.
    """

    name: str
    version: str
    purl: str
    licence: str = ""


def components(rootfs: Path, architecture: str) -> list[Component]:
    """Return the packages in a root file system, sorted by name.

    Args:
        rootfs: The plugin's root file system.
        architecture: ``amd64`` or ``arm64``.

    Raises:
        BuildError: It has no Python packages or no list of Debian packages.
    """
    metadata = sorted(rootfs.glob("usr/lib/python3*/*.dist-info/METADATA"))
    listed = rootfs / DEBIAN_PACKAGES
    if not metadata or not listed.is_file():
        raise BuildError(
            f"{rootfs} has no metadata of Python packages, or no {DEBIAN_PACKAGES}",
            "build it: python -m tools.plugin",
        )
    found = []
    for file in metadata:
        fields = HeaderParser().parsestr(file.read_text(encoding="utf-8"))
        name, version = str(fields["Name"]), str(fields["Version"])
        normal = re.sub(r"[-_.]+", "-", name).lower()
        purl = f"pkg:pypi/{normal}@{quote(version)}"
        found.append(Component(name, version, purl, str(fields["License-Expression"] or "")))
    for line in listed.read_text().splitlines():
        name, version = line.split()
        purl = f"pkg:deb/debian/{name}@{quote(version)}?arch={architecture}&distro={RELEASE}"
        found.append(Component(name, version, purl))
    return sorted(found)


def _time(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spdx(name: str, version: str, parts: list[Component], epoch: int) -> dict[str, Any]:
    """Return the SPDX 2.3 document of a plugin.

    Args:
        name: The artefact's name, with its architecture.
        version: Its version.
        parts: Its components.
        epoch: The time of its creation, in seconds since 1970.
    """
    packages = [_spdx_package("SPDXRef-evercan", name, version, "MIT", "")]
    packages += [
        _spdx_package(f"SPDXRef-{number}", part.name, part.version, part.licence, part.purl)
        for number, part in enumerate(parts)
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name}-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{version}-{_digest(parts)}",
        "creationInfo": {"created": _time(epoch), "creators": ["Tool: evercan-tools-sbom"]},
        "packages": packages,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-evercan",
            },
            *(
                {
                    "spdxElementId": "SPDXRef-evercan",
                    "relationshipType": "CONTAINS",
                    "relatedSpdxElement": f"SPDXRef-{number}",
                }
                for number in range(len(parts))
            ),
        ],
    }


def _spdx_package(
    identity: str, name: str, version: str, licence: str, purl: str
) -> dict[str, Any]:
    package: dict[str, Any] = {
        "SPDXID": identity,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence or "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }
    if purl:
        package["externalRefs"] = [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl,
            }
        ]
    return package


def cyclonedx(name: str, version: str, parts: list[Component], epoch: int) -> dict[str, Any]:
    """Return the CycloneDX 1.6 document of a plugin; the arguments are those of `spdx`."""
    digest = hashlib.sha256(f"{name} {version} {_digest(parts)}".encode()).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": _time(epoch),
            "component": {
                "type": "container",
                "bom-ref": "evercan",
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": part.purl,
                "name": part.name,
                "version": part.version,
                "purl": part.purl,
                **({"licenses": [{"expression": part.licence}]} if part.licence else {}),
            }
            for part in parts
        ],
        "dependencies": [{"ref": "evercan", "dependsOn": [part.purl for part in parts]}],
    }


def _digest(parts: list[Component]) -> str:
    listed = "\n".join(part.purl for part in parts)
    return hashlib.sha256(listed.encode()).hexdigest()[:32]
