"""Phantoms: radiographs drawn from a simple thorax, with a knob for confounding.

`thorax` grows a chest of ellipsoids and tubes, `disease` adds pneumonia to it, `rays` sums what
X-rays meet on their way through, `film` exposes them, and `dataset` draws whole sets.

Where this departs from physics: rays are parallel and of one energy; scatter is the blurred light
of the healthy chest; noise is normal, and wide as the root of the light. From anatomy: organs are
ellipsoids, and lung caught between two of them counts as organ; there is no sternum, breast,
oesophagus or bowel; the two sides' bones mirror each other; a phantom is a patient with one
image. From radiology: each disease shows its typical pattern alone, never mixed, with neither
effusion nor enlarged hila, and severity is drawn evenly.
"""
