"""Boxes on a picture -> where they are: GeoJSON in WGS84 and in the picture's own coordinates, COCO, CSV.

    wgs84(picture, boxes)        RFC 7946: longitude and latitude, opens anywhere
    own_crs(picture, boxes)      the picture's own coordinate system, named in the file as QGIS and GDAL read it
    coco(picture, boxes, "scene.tif")
    table(picture, boxes)

A box is four corners on the picture, not an envelope on the map: a raster may be rotated, and a rectangle in one
coordinate system is none in another. Pixels are those of the file as it is stored, so that they fit the file
although the picture was a part of it, thinned out, or turned upright. Everything is plain values; `save_*` write.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinyrs.example import BOX_SCALE, Box
from tinyrs.image import Picture
from tinyrs.render import plain
from tinyrs.view import apply, box_in_file

LONLAT = "OGC:CRS84"
"""WGS84 with longitude first, as RFC 7946 has it."""

DIGITS = 9
"""Decimals of a degree: a tenth of a millimetre. Of a metre, 4 are kept."""

OWN = ".own-crs"
"""What the second GeoJSON file has in its name, before the ending."""

EARTH = 6_371_008.8
"""Mean radius, metres (IUGG)."""

NOWHERE = "The picture lies where its coordinate system has no place on the Earth."

Points = list[tuple[float, float]]


class NoPlace(ValueError):
    """The picture has no place on the Earth, or none that WGS84 knows; str(e) is one sentence."""


# From the picture to the Earth


def corners(box: Box) -> Points:
    """The four corners of a box, 0..1000, in order around it; what lies outside the picture is cut off."""
    x1, x2 = sorted(min(max(v, 0.0), float(BOX_SCALE)) for v in (box.x1, box.x2))
    y1, y2 = sorted(min(max(v, 0.0), float(BOX_SCALE)) for v in (box.y1, box.y2))
    return [(x1, y1), (x1, y2), (x2, y2), (x2, y1)]


def places(picture: Picture, points: Sequence[tuple[float, float]], crs: str = "") -> Points:
    """Where points of a picture (0..1000 of its width and height) lie, in `crs` ("" is the picture's own).

    x comes first, which is the longitude in a system of degrees. Raises NoPlace.
    """
    from rasterio.warp import transform

    if picture.geo is None:
        raise NoPlace(
            "The picture does not say where it lies on the Earth, so its boxes have no coordinates."
        )
    sx, sy = picture.width / BOX_SCALE, picture.height / BOX_SCALE
    found = [apply(picture.geo.transform, x * sx, y * sy) for x, y in points]
    if crs and found:
        try:
            xs, ys = transform(picture.geo.crs, crs, *map(list, zip(*found)))
        except Exception as error:  # rasterio has no public class for what PROJ complains about
            raise NoPlace(NOWHERE) from error
        found = list(zip(xs, ys))
    if not all(math.isfinite(value) for point in found for value in point):
        raise NoPlace(NOWHERE)
    return found


def lonlat(picture: Picture, points: Sequence[tuple[float, float]]) -> Points:
    """Longitude (-180..180) and latitude, degrees, of points 0..1000 of a picture. Raises NoPlace."""
    return [(_wrapped(lon), lat) for lon, lat in places(picture, points, LONLAT)]


def metres_per_pixel(picture: Picture) -> float:
    """How long a pixel in the middle of the picture is on the ground, along its row. Raises NoPlace."""
    half = BOX_SCALE / 2
    step = BOX_SCALE / picture.width
    (lon1, lat1), (lon2, lat2) = (
        map(math.radians, point) for point in lonlat(picture, [(half - step, half), (half + step, half)])
    )
    # The haversine formula, on a sphere: half a per cent at most beside the ellipsoid.
    chord = math.sin((lat2 - lat1) / 2) ** 2
    chord += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(chord)) / 2


def scale_bar(picture: Picture, share: float = 0.25) -> tuple[str, float]:
    """A round length ("200 m") and its share of the picture's width, at most `share`. Raises NoPlace."""
    longest = metres_per_pixel(picture) * picture.width * share
    if not longest > 0:
        raise NoPlace("The picture's pixels have no length on the ground.")
    power = 10.0 ** math.floor(math.log10(longest))
    length = next(step * power for step in (5, 2, 1) if step * power <= longest * (1 + 1e-9))
    words = (
        f"{length / 1000:g} km"
        if length >= 1000
        else f"{length:g} m"
        if length >= 1
        else f"{length * 100:g} cm"
    )
    return words, length / (longest / share)


# GeoJSON


def wgs84(picture: Picture, boxes: Sequence[Box], about: Mapping[str, object] = {}) -> dict:
    """A FeatureCollection as RFC 7946 wants it: longitude, latitude, outer rings counterclockwise.

    `about` goes into every feature's properties. A box across the 180th meridian becomes two polygons. NoPlace.
    """
    features = []
    for number, box in enumerate(boxes, 1):
        ring = _together(places(picture, corners(box), LONLAT))
        parts = [_ring(part, DIGITS) for part in _at_the_date_line(ring)]
        if len(parts) == 1:
            geometry = {"type": "Polygon", "coordinates": [parts[0]]}
        else:
            geometry = {"type": "MultiPolygon", "coordinates": [[part] for part in parts]}
        features.append(_feature(picture, number, box, geometry, about))
    places(picture, [])  # a picture without a place is refused even where nothing was found on it
    return {"type": "FeatureCollection", "features": features}


def own_crs(picture: Picture, boxes: Sequence[Box], about: Mapping[str, object] = {}) -> dict:
    """The same in the picture's own coordinates, x first, with the `crs` member of GeoJSON 2008. Raises NoPlace."""
    places(picture, [])
    digits = DIGITS if _in_degrees(picture) else 4
    features = [
        _feature(
            picture,
            number,
            box,
            {"type": "Polygon", "coordinates": [_ring(places(picture, corners(box)), digits)]},
            about,
        )
        for number, box in enumerate(boxes, 1)
    ]
    crs = picture.geo.crs
    authority, _, code = crs.partition(":")
    name = f"urn:ogc:def:crs:{authority}::{code}" if code.isdigit() else crs
    return {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": name}},
        "features": features,
    }


def _in_degrees(picture: Picture) -> bool:
    from rasterio.crs import CRS

    return CRS.from_string(picture.geo.crs).is_geographic


def _feature(picture: Picture, number: int, box: Box, geometry: dict, about: Mapping[str, object]) -> dict:
    return {
        "type": "Feature",
        "id": number,
        "geometry": geometry,
        "properties": {
            **about,
            "label": plain(box.label),
            "box": box.corners(),
            "pixels": [round(value, 2) for value in box_in_file(picture, _inside(box))],
        },
    }


def _inside(box: Box) -> Box:
    (x1, y1), _, (x2, y2), _ = corners(box)
    return Box(x1, y1, x2, y2, box.label)


def _ring(points: Points, digits: int) -> list[list[float]]:
    """A closed ring, counterclockwise where x grows to the right and y upwards."""
    turn = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1]))
    points = points if turn >= 0 else points[::-1]
    return [[round(x, digits), round(y, digits)] for x, y in [*points, points[0]]]


def _wrapped(longitude: float) -> float:
    """Within -180..180; 180 itself stays."""
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180


def _together(ring: Points) -> Points:
    """The ring in one piece, beginning within -180..180: no side goes the long way round the Earth."""
    first = _wrapped(ring[0][0])
    return [(first + (lon - first + 180) % 360 - 180, lat) for lon, lat in ring]


def _at_the_date_line(ring: Points) -> list[Points]:
    """A convex ring, cut at 180 degrees where it crosses them (RFC 7946, 3.1.9)."""
    if min(lon for lon, _ in ring) < -180:
        ring = [(lon + 360, lat) for lon, lat in ring]
    if max(lon for lon, _ in ring) <= 180:
        return [ring]
    west, east = _cut(ring, lambda lon: 180 - lon), _cut(ring, lambda lon: lon - 180)
    return [part for part in (west, [(lon - 360, lat) for lon, lat in east]) if len(part) > 2]


def _cut(ring: Points, side) -> Points:
    """The part of a convex ring where `side(longitude)` is not negative (Sutherland and Hodgman)."""
    kept = []
    for (lon1, lat1), (lon2, lat2) in zip(ring, ring[1:] + ring[:1]):
        if side(lon1) >= 0:
            kept.append((lon1, lat1))
        if side(lon1) * side(lon2) < 0:
            kept.append((180.0, lat1 + (lat2 - lat1) * (180 - lon1) / (lon2 - lon1)))
    return kept


# Without the Earth


def coco(picture: Picture, boxes: Sequence[Box], name: str) -> dict:
    """A COCO detection file of one picture, called `name`; boxes without a label are of the category "box"."""
    labels = sorted({_category(box) for box in boxes})
    width, height = _file_size(picture)
    annotations = []
    for number, box in enumerate(boxes, 1):
        left, top, right, bottom = box_in_file(picture, _inside(box))
        sides = [left, top, right - left, bottom - top]
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": labels.index(_category(box)) + 1,
                "bbox": [round(value, 2) for value in sides],
                "area": round(sides[2] * sides[3], 2),
                "iscrowd": 0,
            }
        )
    return {
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "annotations": annotations,
        "categories": [{"id": i, "name": label} for i, label in enumerate(labels, 1)],
    }


def _category(box: Box) -> str:
    return plain(box.label) or "box"


def _file_size(picture: Picture) -> tuple[int, int]:
    return picture.file_size if all(picture.file_size) else (picture.width, picture.height)


def table(picture: Picture, boxes: Sequence[Box]) -> str:
    """CSV with a header: the box 0..1000, its pixels in the file, its middle on the Earth ("" where unknown)."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow("number label x1 y1 x2 y2 left top right bottom longitude latitude".split())
    for number, box in enumerate(boxes, 1):
        inner = _inside(box)
        middle = ("", "")
        if picture.geo is not None:
            ((lon, lat),) = lonlat(picture, [((inner.x1 + inner.x2) / 2, (inner.y1 + inner.y2) / 2)])
            middle = (round(lon, DIGITS), round(lat, DIGITS))
        pixels = [round(value, 2) for value in box_in_file(picture, inner)]
        rows.writerow([number, _cell(box.label), *box.corners(), *pixels, *middle])
    return out.getvalue()


def _cell(text: str) -> str:
    text = plain(text)
    # A spreadsheet runs what begins like a formula, and a label is what a model wrote.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


# Files


def save_geojson(
    path: Path, picture: Picture, boxes: Sequence[Box], about: Mapping[str, object] = {}
) -> Path:
    """Write `path` in WGS84 and, beside it, the same in the picture's own coordinates; returns that second path.

    Nothing is written where the picture has no place. Raises NoPlace and OSError.
    """
    both = wgs84(picture, boxes, about), own_crs(picture, boxes, about)
    second = path.with_name(f"{path.stem}{OWN}{path.suffix}")
    for target, content in zip((path, second), both):
        target.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    return second


def save_coco(path: Path, picture: Picture, boxes: Sequence[Box], name: str) -> None:
    """Write the COCO file. Raises OSError."""
    path.write_text(json.dumps(coco(picture, boxes, name), ensure_ascii=False) + "\n", encoding="utf-8")


def save_csv(path: Path, picture: Picture, boxes: Sequence[Box]) -> None:
    """Write the CSV file. Raises OSError and, where the picture lies on no place that WGS84 knows, NoPlace."""
    path.write_text(table(picture, boxes), encoding="utf-8", newline="")
