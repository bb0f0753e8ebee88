"""Which categories of drawings are for training masks and which for test masks: by name alone.

A network must not have seen the strokes that it is measured with, whatever seed and whatever
drawings masks are made from. So the sides are taken once for all: those below are the ones that the
shipped networks were trained with, and that what is published about them was measured with. Of any
other name its hash decides.
"""

import hashlib
from typing import Final

USUAL_SHARE: Final = 0.2
"""The share of the names that are for testing, unless told otherwise."""

_TEST: Final = frozenset(
    """synthetic-01, synthetic-10, synthetic-13, synthetic-18,
The Eiffel Tower, arm, baseball, baseball bat, basket, bicycle, blueberry, boomerang, brain,
bulldozer, bus, calculator, campfire, church, clock, cooler, crocodile, donut, drums, feather,
fence, fire hydrant, flamingo, fork, frog, garden, hand, hat, hockey puck, hot tub, house, marker,
matches, moon, mouth, mushroom, nail, owl, paintbrush, pants, postcard, purse, scissors, sea
turtle, shoe, snail, snake, soccer ball, spreadsheet, stethoscope, stop sign, submarine, suitcase,
teapot, telephone, tiger, toothbrush, underwear, watermelon, waterslide
""".replace("\n", " ")
    .strip()
    .split(", ")
)
_TRAIN: Final = frozenset(
    """synthetic-00, synthetic-02, synthetic-03, synthetic-04, synthetic-05, synthetic-06,
synthetic-07, synthetic-08, synthetic-09, synthetic-11, synthetic-12, synthetic-14, synthetic-15,
synthetic-16, synthetic-17, synthetic-19,
The Great Wall of China, The Mona Lisa, aircraft carrier, airplane, alarm clock, ambulance, animal
migration, ant, anvil, apple, asparagus, axe, backpack, banana, bandage, barn, bat, bathtub, beach,
bear, bed, bee, belt, bench, binoculars, bird, birthday cake, blackberry, book, bottlecap, bowtie,
bracelet, bread, broccoli, broom, bucket, bush, butterfly, cactus, calendar, camel, camera, candle,
cannon, canoe, carrot, castle, cat, cell phone, cello, chandelier, circle, clarinet, cloud, coffee
cup, compass, cookie, couch, cow, crab, crayon, crown, cruise ship, cup, diamond, dishwasher,
diving board, dog, dolphin, door, dragon, dresser, drill, duck, dumbbell, ear, elbow, elephant,
envelope, eraser, eyeglasses, fan, finger, firetruck, fish, flashlight, flip flops, flower, flying
saucer, foot, frying pan, garden hose, giraffe, goatee, golf club, grapes, grass, guitar,
hamburger, hammer, harp, headphones, hedgehog, helicopter, helmet, hexagon, hockey stick, hospital,
hot air balloon, hourglass, house plant, ice cream, jacket, kangaroo, key, keyboard, knee, knife,
ladder, lantern, leaf, leg, light bulb, lighter, lighthouse, lightning, line, lipstick, lobster,
mailbox, map, megaphone, mermaid, monkey, mosquito, motorbike, mouse, moustache, necklace, nose,
ocean, octagon, octopus, oven, paint can, palm tree, panda, parachute, passport, pear, peas,
pencil, piano, pickup truck, picture frame, pig, pillow, pizza, pliers, police car, pond, pool,
popsicle, power outlet, rabbit, radio, rain, rainbow, rake, remote control, rifle, river, roller
coaster, rollerskates, sailboat, sandwich, saw, school bus, scorpion, screwdriver, see saw, shark,
sheep, shorts, shovel, skull, sleeping bag, smiley face, snorkel, snowflake, snowman, sock,
speedboat, spider, square, squiggle, squirrel, stairs, star, steak, stereo, stitches, stove,
strawberry, streetlight, sweater, sword, syringe, t-shirt, table, teddy-bear, television, tennis
racquet, tent, toe, toilet, tooth, toothpaste, tornado, tractor, traffic light, train, tree,
triangle, trombone, truck, trumpet, umbrella, van, vase, violin, washing machine, wheel, windmill,
wine bottle, wine glass, wristwatch, yoga, zebra, zigzag
""".replace("\n", " ")
    .strip()
    .split(", ")
)


def is_for_testing(category: str, share: float = USUAL_SHARE) -> bool:
    """Whether a category is for test masks; those for a share are among those for a larger one.

    Args:
        category: its name.
        share: of all names there could be, in (0, 1). More than the usual takes names that the
            shipped networks were trained with.
    """
    digest = hashlib.sha256(category.encode()).digest()
    place = int.from_bytes(digest[:4], "big") / (1 << 32)  # in [0, 1), as if drawn evenly
    if category in _TEST:
        place *= USUAL_SHARE
    elif category in _TRAIN:
        place = USUAL_SHARE + (1 - USUAL_SHARE) * place
    return place < share
