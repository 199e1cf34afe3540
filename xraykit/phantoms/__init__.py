"""Phantoms: synthetic radiographs of a simple thorax, with adjustable confounding.

`thorax` draws a chest of ellipsoids and tubes and `disease` adds pneumonia to it. `rays` sums
attenuation along X-rays and `film` exposes the image. `xraykit.data.phantoms` draws whole sets.

Simplified physics: rays are parallel and of one energy; scatter is the blurred light of the
healthy chest; noise is normal, with a standard deviation proportional to the root of the light.
Simplified anatomy: organs are ellipsoids, and lung enclosed between two of them counts as organ;
there is no sternum, breast, esophagus or bowel; the bones are symmetric; each patient has one
image. Simplified radiology: each disease shows its typical pattern only, never mixed, without
effusion or enlarged hila, and severity is uniform.
"""
