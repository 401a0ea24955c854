"""Captions that were written one by one, sound and broken: by hand here, and in captions_*.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

from tests.captions import Caption
from tinyrs.example import Question
from tinyrs.prompt import CLASSIFY, guess_task


def hard(missed: bool = False) -> list[tuple[Caption, str]]:
    """(caption, the check that is to find it or ""): sound ones as people and large models write them, and broken ones
    of kinds that nobody had in mind when the checks were first written. One a line in captions_hard.jsonl. `missed`:
    those instead that the checks are known to get wrong."""
    return [(caption, finds) for caption, finds, known in _read("captions_hard.jsonl") if known == missed]


def unseen() -> list[tuple[Caption, str]]:
    """The same of captions by which nothing was made: whoever wrote captions_unseen.jsonl had seen none of the checks."""
    return [(caption, finds) for caption, finds, _ in _read("captions_unseen.jsonl")]


def natural(lot: int) -> list[tuple[Caption, str]]:
    """The same as people and large models write of themselves, without traps: lots 1 to 7 of captions_natural.jsonl, each by another
    writer. 4 and 5 tell places in words alone. The last lot was written after everything was made."""
    return [(caption, finds) for caption, finds, _ in _read("captions_natural.jsonl", lot)]


def _read(name: str, lot: int = 0) -> list[tuple[Caption, str, bool]]:
    found = []
    for line in Path(__file__).with_name(name).read_text("utf-8").splitlines():
        row = json.loads(line)
        if lot and row["lot"] != lot:
            continue
        question = Question(row["question"], *guess_task(row["question"]))
        size = tuple(row.get("size", (0, 0)))
        caption = Caption(question, row["reasoning"], row["answer"], size=size)
        found.append((caption, row["finds"], row.get("missed", False)))
    return found


MANY = CLASSIFY.format(
    labels="airport, beach, bridge, commercial area, dense residential, farmland, forest, golf course, "
    "harbor, overpass, palace, parking lot, pond, railway station, river, runway, school, square, stadium, "
    "storage tank, viaduct"
)
AID = CLASSIFY.format(
    labels="BareLand, BaseballField, Beach, Bridge, Center, Church, Commercial, DenseResidential, Desert, "
    "Farmland, Forest, Industrial, Meadow, MediumResidential, Mountain, Park, Parking, Playground, Pond, "
    "Port, RailwayStation, Resort, River, School, SparseResidential, Square, Stadium, StorageTanks, Viaduct"
)
BY_HAND = (
    (
        MANY,
        "The user wants a classification of this aerial image. Looking closely, I see several "
        "long piers extending into the water, with dozens of white boats moored along them. "
        "There's a breakwater that shelters the basin. This isn't a beach because no sand is "
        "visible, and a river wouldn't have this kind of infrastructure. The arrangement of boats "
        "in slips is a hallmark of a harbor.",
        "harbor",
        "beach",
    ),
    (
        MANY,
        "Okay, so I'm looking at a satellite view. There are several round white structures "
        "arranged in a grid, each casting a circular shadow. They are connected by thin pipes. "
        "Could these be ponds? No, the shadows tell me these are raised. They're industrial "
        "containers holding oil or gas, so storage tank it is.",
        "storage tank",
        "pond",
    ),
    (
        MANY,
        "Let me think. The picture shows an oval structure with seating all around and a green "
        "field in the middle. A running track encircles the field. While a school might have a "
        "track as well, the large stands point to something bigger. I'm going with stadium.",
        "stadium",
        "school",
    ),
    (
        MANY,
        "I see water running diagonally through the scene, with vegetation on both banks. A "
        "bridge crosses it in the upper right, but it occupies only a small part of the image. "
        "The dominant feature is the watercourse itself. Hence river.",
        "river",
        "bridge",
    ),
    (
        MANY,
        "The image displays rows of small houses packed tightly together with narrow streets "
        "between them. There is very little open space. Compared with a commercial area, the "
        "roofs are small and uniform. The high density of homes makes dense residential the most "
        "suitable label.",
        "dense residential",
        "commercial area",
    ),
    (
        MANY,
        "We can observe a curved elevated road supported by pillars, crossing over a valley. An "
        "overpass usually crosses another road, whereas this one spans a long distance over "
        "uneven terrain. That makes me lean toward viaduct.",
        "viaduct",
        "overpass",
    ),
    (
        MANY,
        "Many cars are lined up in neat rows on a paved surface with painted lines. It doesn't "
        "seem to be a square, since pedestrians and monuments are absent. All evidence points to "
        "a parking lot.",
        "parking lot",
        "square",
    ),
    (
        MANY,
        "At the top of the frame there are tracks converging towards a large building with "
        "platforms. Trains are standing at some of them. This combination is exactly what one "
        "would expect at a railway station.",
        "railway station",
        "bridge",
    ),
    (
        "Is a road present?",
        "Let me scan the image. On the right there's a thin gray line that runs from top to "
        "bottom. Vehicles can be seen on it. It has to be a road. So yes, a road is present.",
        "yes",
        "no",
    ),
    (
        "Is there a water area?",
        "I look for blue or dark smooth surfaces. Everything I can see is brown and green: "
        "fields, trees, and a few houses. I couldn't find any water area.",
        "no",
        "yes",
    ),
    (
        "Is a commercial building present in the image?",
        "Scanning the picture, I notice mostly single-family houses with gardens. There are no "
        "large flat roofs or loading docks that would hint at a commercial building. It seems "
        "that there isn't one.",
        "no",
        "yes",
    ),
    (
        "Is there a bridge in the image?",
        "A river flows across the scene. At one point, a narrow strip connects both banks, and "
        "its shadow falls on the water. That must be a bridge.",
        "yes",
        "no",
    ),
    (
        "Are there more buildings than roads in the image?",
        "I can count about 12 buildings, most of them along the southern edge. As for roads, I "
        "see just 3. Since 12 is greater than 3, there are more buildings than roads.",
        "yes",
        "no",
    ),
    (
        "Are there less residential buildings than water areas?",
        "There are two water areas, one large and one small. Residential buildings, on the other "
        "hand, are numerous: at least twenty. So residential buildings outnumber water areas.",
        "no",
        "yes",
    ),
    (
        "Is the number of roads equal to the number of water areas?",
        "I find one road at the bottom. There is also one lake. The two numbers are the same.",
        "yes",
        "no",
    ),
    (
        "Is it a rural or an urban area",
        "The image shows vast patches of farmland in different shades of green. There are hardly "
        "any buildings, just one farmhouse. Such a landscape is clearly rural.",
        "rural",
        "urban",
    ),
    (
        "How many planes can you see in the image?",
        "There's a terminal building with jet bridges. Parked next to it are three large white "
        "planes. A fourth one is taxiing on the apron. Altogether, I can see four planes.",
        "4",
        "3",
    ),
    (
        "How many ships are there?",
        "Let me count them one by one: the first near the dock, the second just behind it, and a "
        "third one farther out at sea. No other ships are visible, so there are three.",
        "3",
        "2",
    ),
    (
        "What is the number of buildings?",
        "I see a row of five buildings on the left side and another row of four on the right. "
        "Adding them up gives nine buildings.",
        "9",
        "5",
    ),
    (
        "How many tennis courts can you see in the image?",
        "In the center there is a sports complex. It has two green courts with white lines, side "
        "by side. I double-checked and there are no more courts, so the number is two.",
        "2",
        "4",
    ),
    (
        "What is the amount of roads?",
        "Only grassland and trees can be seen. There is no road at all. The amount is therefore 0.",
        "0",
        "1",
    ),
    (
        "Identify the location of a red ship.",
        "I need to find a red ship. The sea is dark blue, so a red hull stands out. In the lower "
        "left quadrant I see an elongated red object with a wake behind it. Its bow points right. "
        "Estimating the extents, it begins at roughly x=120, y=640 and ends at about x=260, "
        "y=705.",
        "[[118,642,262,703]]",
        "[[518,142,662,203]]",
    ),
    (
        "Identify the location of the largest storage tank.",
        "Several tanks are visible. The one in the middle right is clearly the biggest. Its "
        "outline goes from 610 to 790 horizontally and from 402 to 580 vertically.",
        "[[612,400,788,579]]",
        "[[612,700,788,879]]",
    ),
    (
        "Where is the airport terminal?",
        "The terminal is a long building near the top of the image. It starts near the "
        "coordinates (210, 95) and its opposite corner lies at (655, 240).",
        "[[208,96,657,238]]",
        "[[208,396,657,538]]",
    ),
    (
        "Identify the location of the bridge on the right.",
        "There are two bridges. The one on the right crosses the river at a slight angle. The box "
        "that encloses it is approximately [690, 310, 880, 450].",
        "[[694,306,883,452]]",
        "[[94,306,283,452]]",
    ),
    (
        "Identify the location of a stadium.",
        "Near the center of the image there's an oval stadium. The bounding box should span from "
        "around 35% to 62% horizontally and 40% to 70% vertically.",
        "[[352,398,618,702]]",
        "[[652,698,918,902]]",
    ),
    (
        "Identify the location of the white plane.",
        "The plane sits on the apron in the upper right corner. Its nose faces north. The tail is "
        "slightly darker. I would draw the box tightly around its wings.",
        "[[780,60,930,190]]",
        "[[80,760,230,890]]",
    ),
    (
        AID,
        "User asks me to classify this image. I see a diamond-shaped infield with brown dirt and "
        "a green outfield. This is unmistakably a baseball field.",
        "BaseballField",
        "Playground",
    ),
    (
        AID,
        "Let me analyze. The area is covered by sand with ripples and dunes. There's no "
        "vegetation and no water, so it can't be a beach. Bare land would show soil rather than "
        "sand. Desert is the best option.",
        "Desert",
        "Beach",
    ),
    (
        AID,
        "There are several houses with large gardens, trees between them and wide spacing. Houses "
        "are far apart. In dense or medium residential areas they would be closer together. So "
        "sparse residential it is.",
        "SparseResidential",
        "MediumResidential",
    ),
    (
        AID,
        "I notice a big cross-shaped building with a dome. Next to it is a small park with trees "
        "and a parking lot. The shape of the building is typical for churches.",
        "Church",
        "Park",
    ),
    (
        AID,
        "The image contains a body of water with ships docked along quays and cranes. Containers "
        "are stacked beside. Considering all options, the scene most likely belongs to the class "
        "Port.",
        "Port",
        "Industrial",
    ),
    (
        AID,
        "A wide river splits the picture. There are two bridges over it, but they are small "
        "compared with the water. I would say the main subject here is the river.",
        "River",
        "Bridge",
    ),
    (
        AID,
        "The dominant features are grass and scattered trees with footpaths and a small pond in "
        "the middle. People seem to stroll around. A pond alone would not have paths or lawns "
        "around it, therefore I think it's a park.",
        "Park",
        "Pond",
    ),
    (
        AID,
        "Oh, I see a complex with swimming pools, palm trees and villas next to the sea. But "
        "wait, is it a beach? The beach is only a strip at the border. These amenities speak for "
        "a resort.",
        "Resort",
        "Beach",
    ),
    (
        "Are there any ships in the image?",
        "Looking at the water, I observe several elongated white shapes with wakes behind them. "
        "These are ships.",
        "yes",
        "no",
    ),
    (
        "Are there any ships in the image?",
        "The water surface is calm and empty. Nothing resembling a vessel can be detected.",
        "no",
        "yes",
    ),
    (
        "Is there a small residential building?",
        "I zoom in on the settlement. Several houses are there and some of them are small. I'm "
        "confident that the answer should be yes.",
        "yes",
        "no",
    ),
    (
        "Is there a grass area in the image?",
        "The image is dominated by buildings. Between them I spot patches of green that look like "
        "lawns. Although they are not large, they count as grass areas.",
        "yes",
        "no",
    ),
    (
        "Is a water area present?",
        "There isn't any lake, river, or pond. All surfaces are land. So no water area is present.",
        "no",
        "yes",
    ),
    (
        "Is there a square road next to a building?",
        "Roads are long and thin, not square. I don't see a square one next to any building.",
        "no",
        "yes",
    ),
    (
        "Does the image contain an airport?",
        "I can make out two runways, taxiways, and a terminal. Those are the typical components "
        "of an airport, so it does contain one.",
        "yes",
        "no",
    ),
    (
        "Are there more commercial buildings than residential buildings?",
        "There seem to be only two commercial buildings, with big flat roofs. On the contrary, I "
        "count fifteen residential buildings.",
        "no",
        "yes",
    ),
    (
        "Are there more water areas than forests in the image?",
        "Three ponds make up the water areas, so there are 3 water areas. There is only 1 forest. 3 > 1.",
        "yes",
        "no",
    ),
    (
        "Is the number of buildings equal to the number of roads?",
        "Buildings: 7. Roads: 2. These numbers are not equal.",
        "no",
        "yes",
    ),
    (
        "How many cars can you see in the image?",
        "I go row by row. First row: two cars. Second row: three cars. Third row: one car. 2 + 3 "
        "+ 1 = 6. So I see six cars.",
        "6",
        "5",
    ),
    (
        "How many buildings are there?",
        "It's a rural scene. I see a single farmhouse with a barn next to it. Both are buildings, "
        "which gives two buildings.",
        "2",
        "3",
    ),
    (
        "How many bridges can you see in the image?",
        "The river is crossed twice: once in the north by a wide road and once in the south by a "
        "railway. Therefore there are two bridges.",
        "2",
        "1",
    ),
    (
        "How many airplanes can you see in the image?",
        "The apron holds planes of different size. On the left I count 3, on the right 2. That "
        "gives a total of 5 airplanes.",
        "5",
        "3",
    ),
    (
        "How many storage tanks can you see in the image?",
        "There's a cluster of round structures. I count eight in the first group and four in the "
        "second group, for a total of twelve.",
        "12",
        "8",
    ),
    (
        "What color is the roof of the largest building?\nChoices: A. red B. blue C. white D. gray"
        " Answer from the given choices with A., B., C., D., etc.",
        "The largest building is in the center. Its roof reflects a lot of light and appears "
        "white. Others are gray. So the answer is C.",
        "C",
        "D",
    ),
    (
        "What is the orientation of the runway?\nChoices: A. north-south B. east-west C. northeast"
        "-southwest D. northwest-southeast Answer from the given choices with A., B., C., D., etc"
        ".",
        "The runway starts in the lower left and ends in the upper right. Assuming north is up, "
        "it goes from southwest to northeast. That corresponds to option C.",
        "C. northeast-southwest",
        "A",
    ),
    (
        "Which object is in the lower right?\nChoices: A. a ship B. a crane C. a truck D. a house "
        "Answer from the given choices with A., B., C., D., etc.",
        "In the lower right corner there's an elongated object floating on the water. It casts no "
        "long shadow like a crane would. It is a ship.",
        "A",
        "B",
    ),
    (
        "Identify the location of the church.",
        "The church has a cross-shaped roof. It stands in the top right corner of the image. Its "
        "bounding box goes from (702, 88) to (861, 240).",
        "[[700,90,860,241]]",
        "[[700,590,860,741]]",
    ),
    (
        "Identify the location of the swimming pool.",
        "I look for a bright blue area. There's one right beside the large house. Roughly, x goes "
        "from 310 to 395 and y goes from 520 to 600.",
        "[[308,518,397,603]]",
        "[[308,218,397,303]]",
    ),
    (
        "Identify the location of the yellow truck.",
        "There are many trucks. Only one is yellow. It's at the bottom left, close to the gate. "
        "The box is [102, 811, 171, 879].",
        "[[102,811,171,879]]",
        "[[802,811,871,879]]",
    ),
    (
        "Identify the location of the dam.",
        "The dam crosses the valley from left to right. The left end touches the slope at about x "
        "= 150, and the right end is at x = 640. Vertically, it covers 300 to 355.",
        "[[148,298,642,356]]",
        "[[448,298,942,356]]",
    ),
    (
        "Identify the location of the ground track field.",
        "It's the oval in the middle of the image. It spans roughly half of the width. I estimate "
        "its center at (480, 510).",
        "[[230,340,730,680]]",
        "[[730,740,930,980]]",
    ),
    (
        AID,
        "The whole area is green with a fine, uniform texture. No trees, crops or buildings "
        "interrupt it. Farmland would be divided into fields, and forest would look coarser. I'd "
        "call this a meadow.",
        "Meadow",
        "Forest",
    ),
    (
        AID,
        "I can see smokestacks, pipelines and large halls. A few round tanks stand next to them, "
        "but they make up only a small share. Commercial zones don't have smokestacks. The "
        "description industrial suits this picture.",
        "Industrial",
        "StorageTanks",
    ),
    (
        AID,
        "Snow-covered ridges and dark valleys alternate. The relief is rugged, which rules out "
        "desert and bare land. What remains is mountain.",
        "Mountain",
        "Desert",
    ),
    (
        AID,
        "Here we have a red running track with a soccer pitch inside, but no stands. Since there "
        "are no stands, it's no stadium. Nearby buildings could belong to a school, yet the track "
        "fills the frame. My choice: playground.",
        "Playground",
        "Stadium",
    ),
    (
        AID,
        "A long elevated road winds through the terrain on pillars. It doesn't cross water, so "
        "calling it a bridge would be misleading. Viaduct seems right.",
        "Viaduct",
        "Bridge",
    ),
    (
        AID,
        "Rows of trees? No, these are crops in rectangular plots with different colors. "
        "Irrigation channels separate the plots. Farmland.",
        "Farmland",
        "Forest",
    ),
    (
        "Is there a residential area in the image?",
        "I see rows of houses with gardens and driveways. They form a neighborhood. Hence a "
        "residential area exists here.",
        "yes",
        "no",
    ),
    (
        "Is there a commercial building in the image?",
        "All of the buildings I can make out are family homes. A commercial building would be "
        "bigger and have a flat roof. I see nothing like that.",
        "no",
        "yes",
    ),
    (
        "Is there a large water area?",
        "There's water in the picture, but it is only a small pond. A large water area is not visible.",
        "no",
        "yes",
    ),
    (
        "Is a forest present?",
        "The upper half is covered with dense tree crowns. That is definitely a forest.",
        "yes",
        "no",
    ),
    (
        "Are there any planes on the runway?",
        "The runway is empty: only markings can be seen on it. The planes are all parked at the "
        "terminal. So there are no planes on the runway.",
        "no",
        "yes",
    ),
    (
        "Is there a road next to the river?",
        "The river bends in the middle. A gray line follows it on the eastern bank. This line is "
        "a road, which means that there's a road next to the river.",
        "yes",
        "no",
    ),
    (
        "Are there less roads than buildings?",
        "The roads are few, just three. Buildings are plentiful, more than thirty. Thus, the "
        "roads are fewer than the buildings.",
        "yes",
        "no",
    ),
    (
        "Are there more residential areas than farmlands in the image?",
        "I identify four farmlands. Residential areas: one. Four is more than one, so farmlands "
        "are in the majority.",
        "no",
        "yes",
    ),
    (
        "Are there more roads than water areas?",
        "I can see five roads and no water areas at all.",
        "yes",
        "no",
    ),
    (
        "Is the number of large buildings equal to the number of roads?",
        "Five large buildings can be seen. In addition, there are five roads. Both numbers are five.",
        "yes",
        "no",
    ),
    (
        "Is it a rural or an urban area",
        "Blocks of high-rise buildings fill the frame, with wide avenues in between. Rural areas "
        "would show fields. I conclude that it is urban.",
        "urban",
        "rural",
    ),
    (
        "How many ships can you see in the image?",
        "I see four ships moored at the pier on the left and another three on the right. One "
        "boat-like shape is just a reflection. In sum, seven ships are visible.",
        "7",
        "4",
    ),
    (
        "How many tennis courts can you see in the image?",
        "The complex contains a pool and a clubhouse. Behind them lie six courts in two rows of "
        "three. So there are 6 tennis courts.",
        "6",
        "3",
    ),
    (
        "How many bridges can you see in the image?",
        "Although there are several roads, only one of them crosses the river. Hence the number "
        "of bridges equals one.",
        "1",
        "2",
    ),
    (
        "How many planes are parked at the gate?\nChoices: A. 1 B. 2 C. 3 D. 4 Answer from the giv"
        "en choices with A., B., C., D., etc.",
        "I look at the terminal. Three planes are connected to it by jet bridges. One is moving "
        "on the taxiway and doesn't count. Three corresponds to choice C.",
        "C",
        "D",
    ),
    (
        "What is the main land use?\nChoices: A. farmland B. forest C. water D. residential Answer"
        " from the given choices with A., B., C., D., etc.",
        "Most of the image shows fields. Trees are only at the margin. The land is mostly "
        "farmland, which is choice A.",
        "A",
        "B",
    ),
    (
        "Identify the location of the white storage tank.",
        "The tank has a bright round roof. Its leftmost point is around x=415 and its rightmost "
        "point is around x=505; it reaches from y=220 at the top to y=312 at the bottom.",
        "[[413,219,507,313]]",
        "[[413,519,507,613]]",
    ),
    (
        "Identify the location of the basketball court.",
        "It's a small orange rectangle near the school. Coordinates: x1=120, y1=610, x2=190, y2=700.",
        "[[121,612,189,698]]",
        "[[121,112,189,198]]",
    ),
    (
        "Identify the location of the harbor.",
        "The harbor occupies the left third of the image, from the top edge to about the middle. "
        "So the box starts at (0, 0) and ends around (330, 510).",
        "[[0,0,335,508]]",
        "[[600,0,935,508]]",
    ),
)
"""(question, sound reasoning, its answer, an answer that contradicts it)"""
