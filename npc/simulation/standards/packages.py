"""Packages for learning systems: SCORM 1.2, SCORM 2004 4th edition and cmi5, as zip files.

    LMS ── opens ──▶ launch.html (in the package, at the LMS's origin)
                        │ posts a form into a new window: package id and secret, a name for the learner, its own origin
                        ▼
                     the service ── the scenario by voice ── review.html
                        │ postMessage(npc.result) to that origin and no other
                        ▼
                     launch.html ── SCORM API ──▶ score, completion, success, interactions

cmi5 needs no page in the package: its assignable unit is the service's launch URL. The archives are reproducible:
the same course gives the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from importlib import resources
from typing import Literal
from xml.etree import ElementTree as ET

from npc.simulation.standards.course import Course, identifier

Standard = Literal["scorm12", "scorm2004", "cmi5"]
STANDARDS: tuple[Standard, ...] = ("scorm12", "scorm2004", "cmi5")

_CP12 = "http://www.imsproject.org/xsd/imscp_rootv1p1p2"
_ADL12 = "http://www.adlnet.org/xsd/adlcp_rootv1p2"
_CP2004 = "http://www.imsglobal.org/xsd/imscp_v1p1"
_ADL2004 = "http://www.adlnet.org/xsd/adlcp_v1p3"
_SS2004 = "http://www.imsglobal.org/xsd/imsss"
_CMI5 = "https://w3id.org/xapi/profiles/cmi5/v1/CourseStructure.xsd"
#: Every file of an archive carries this time, so that equal courses make equal archives.
_EPOCH = (2020, 1, 1, 0, 0, 0)
_FILES = ("launch.html", "launch.css", "launch.js")


def package(course: Course, standard: Standard) -> bytes:
    """The zip file of `course`."""
    if standard == "cmi5":
        return _archive({"cmi5.xml": cmi5_structure(course)})
    manifest = scorm12_manifest(course) if standard == "scorm12" else scorm2004_manifest(course)
    folder = resources.files("npc.simulation.standards") / "launch"
    files = {name: (folder / name).read_text(encoding="utf-8") for name in _FILES}
    files["course.js"] = f"globalThis.npcCourse = {json.dumps(launch_settings(course, standard), indent=2)};\n"
    return _archive({"imsmanifest.xml": manifest, **files})


def launch_settings(course: Course, standard: Standard) -> dict[str, object]:
    """What the launch page is told."""
    return {
        "standard": standard,
        "scenario": course.id,
        "title": course.title,
        "description": course.description,
        "language": course.language,
        "minutes": course.minutes,
        "mastery": course.mastery,
        "service": course.base,
        "origin": course.origin,
        "secret": course.secret,
    }


def scorm12_manifest(course: Course) -> str:
    """`imsmanifest.xml` of SCORM 1.2 (ADL, Content Aggregation Model 1.2, 2001)."""
    ET.register_namespace("", _CP12)
    ET.register_namespace("adlcp", _ADL12)
    root = ET.Element(f"{{{_CP12}}}manifest", {"identifier": f"npc-{identifier(course.id)}", "version": course.version})
    metadata = ET.SubElement(root, f"{{{_CP12}}}metadata")
    ET.SubElement(metadata, f"{{{_CP12}}}schema").text = "ADL SCORM"
    ET.SubElement(metadata, f"{{{_CP12}}}schemaversion").text = "1.2"
    item = _organisation(root, _CP12, course)
    ET.SubElement(item, f"{{{_ADL12}}}masteryscore").text = f"{course.mastery * 100:g}"
    _resource(root, _CP12, {f"{{{_ADL12}}}scormtype": "sco"})
    return _text(root)


def scorm2004_manifest(course: Course) -> str:
    """`imsmanifest.xml` of SCORM 2004 4th edition (ADL, 2009), with the pass mark in its sequencing."""
    for prefix, space in (("", _CP2004), ("adlcp", _ADL2004), ("imsss", _SS2004)):
        ET.register_namespace(prefix, space)
    root = ET.Element(
        f"{{{_CP2004}}}manifest", {"identifier": f"npc-{identifier(course.id)}", "version": course.version}
    )
    metadata = ET.SubElement(root, f"{{{_CP2004}}}metadata")
    ET.SubElement(metadata, f"{{{_CP2004}}}schema").text = "ADL SCORM"
    ET.SubElement(metadata, f"{{{_CP2004}}}schemaversion").text = "2004 4th Edition"
    item = _organisation(root, _CP2004, course)
    sequencing = ET.SubElement(item, f"{{{_SS2004}}}sequencing")
    objectives = ET.SubElement(sequencing, f"{{{_SS2004}}}objectives")
    primary = ET.SubElement(
        objectives, f"{{{_SS2004}}}primaryObjective", {"objectiveID": "outcome", "satisfiedByMeasure": "true"}
    )
    ET.SubElement(primary, f"{{{_SS2004}}}minNormalizedMeasure").text = f"{course.mastery:g}"
    ET.SubElement(
        sequencing,
        f"{{{_SS2004}}}deliveryControls",
        {"completionSetByContent": "true", "objectiveSetByContent": "true"},
    )
    _resource(root, _CP2004, {f"{{{_ADL2004}}}scormType": "sco"})
    return _text(root)


def cmi5_structure(course: Course) -> str:
    """`cmi5.xml`: a course of one assignable unit (cmi5 specification "Quartz", section 14)."""
    ET.register_namespace("", _CMI5)
    root = ET.Element(f"{{{_CMI5}}}courseStructure")
    outer = ET.SubElement(root, f"{{{_CMI5}}}course", {"id": f"{course.activity}/course"})
    _said(outer, course)
    unit = ET.SubElement(
        root,
        f"{{{_CMI5}}}au",
        {
            "id": course.activity,
            "moveOn": "CompletedOrPassed",
            "masteryScore": f"{course.mastery:g}",
            "launchMethod": "OwnWindow",
            "activityType": "http://adlnet.gov/expapi/activities/simulation",
        },
    )
    _said(unit, course)
    ET.SubElement(unit, f"{{{_CMI5}}}url").text = f"{course.base}/v1/launch/cmi5?scenario={identifier(course.id)}"
    return _text(root)


def _said(parent: ET.Element, course: Course) -> None:
    for name, text in (("title", course.title), ("description", course.description)):
        element = ET.SubElement(parent, f"{{{_CMI5}}}{name}")
        ET.SubElement(element, f"{{{_CMI5}}}langstring", {"lang": course.language}).text = text


def _organisation(root: ET.Element, space: str, course: Course) -> ET.Element:
    organisations = ET.SubElement(root, f"{{{space}}}organizations", {"default": "course"})
    organisation = ET.SubElement(organisations, f"{{{space}}}organization", {"identifier": "course"})
    ET.SubElement(organisation, f"{{{space}}}title").text = course.title
    item = ET.SubElement(organisation, f"{{{space}}}item", {"identifier": "scenario", "identifierref": "launch"})
    ET.SubElement(item, f"{{{space}}}title").text = course.title
    return item


def _resource(root: ET.Element, space: str, scorm_type: Mapping[str, str]) -> None:
    listed = ET.SubElement(root, f"{{{space}}}resources")
    resource = ET.SubElement(
        listed,
        f"{{{space}}}resource",
        {"identifier": "launch", "type": "webcontent", "href": "launch.html", **scorm_type},
    )
    for name in (*_FILES, "course.js"):
        ET.SubElement(resource, f"{{{space}}}file", {"href": name})


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _archive(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name].encode(), zipfile.ZIP_DEFLATED)
    return out.getvalue()
