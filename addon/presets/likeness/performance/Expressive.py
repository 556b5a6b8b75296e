# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

filters = bpy.context.scene.likeness.active.likeness.filters

filters.smoothing = "ONE_EURO"
filters.cutoff = 2.5
filters.beta = 15.0
filters.two_way = True
filters.window = 5
filters.order = 2
filters.gain = 1.25
filters.swap_mouth = False
filters.mirror = False
filters.limit_mouth_close = True
filters.decimate = False
filters.decimate_error = 0.005
