# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator id of the extension, so that no panel, menu or keymap carries a literal."""

from __future__ import annotations

from enum import StrEnum


class Op(StrEnum):
    """`bl_idname` of each operator."""

    IMPORT_CAPTURE = "likeness.import_capture"
    IMPORT_RESULTS = "likeness.import_results"
    LOAD_SAMPLE = "likeness.load_sample"
    INSPECT_CAPTURE = "likeness.inspect_capture"
    SHOW_ON_FOOTAGE = "likeness.show_on_footage"
    REFIT_NEUTRAL = "likeness.refit_neutral"
    MAKE_TEXTURES = "likeness.make_textures"
    STOP_JOB = "likeness.stop_job"

    OPEN_AVATAR = "likeness.open_avatar"
    REBUILD_DOUBLE = "likeness.rebuild_double"
    SAVE_AVATAR = "likeness.save_avatar"
    REMOVE_DOUBLE = "likeness.remove_double"
    SET_IDENTITY = "likeness.set_identity"
    RESET_IDENTITY = "likeness.reset_identity"

    CHOOSE_PERFORMANCE = "likeness.choose_performance"
    ADD_PERFORMANCE = "likeness.add_performance"
    APPLY_FILTERS = "likeness.apply_filters"
    RESET_FILTERS = "likeness.reset_filters"
    ADD_SHAPE_LIMIT = "likeness.add_shape_limit"
    REMOVE_SHAPE_LIMIT = "likeness.remove_shape_limit"
    RESAMPLE = "likeness.resample"
    ADD_SOUND = "likeness.add_sound"
    EXPORT_CSV = "likeness.export_csv"
    EXPORT_FIT = "likeness.export_fit"
    SAVE_FILTER_PRESET = "likeness.save_filter_preset"

    SET_MATERIALS = "likeness.set_materials"
    SET_FACE = "likeness.set_face"
    SHOW_INVENTED = "likeness.show_invented"
    RESET_LOOK = "likeness.reset_look"
    SET_LIGHTING = "likeness.set_lighting"

    APPLY_RENDER_PRESET = "likeness.apply_render_preset"
    SAVE_RENDER_PRESET = "likeness.save_render_preset"
    RENDER_FRAMES = "likeness.render_frames"
    RENDER_SPLATS = "likeness.render_splats"
    SPLAT_INSTANCES = "likeness.splat_instances"
    ENCODE_MOVIE = "likeness.encode_movie"
    OPEN_FOLDER = "likeness.open_folder"

    COMPRESS_TO_BONES = "likeness.compress_to_bones"
    UPDATE_COMPRESSED = "likeness.update_compressed"
    SHOW_COMPRESSION_ERROR = "likeness.show_compression_error"
    IMPORT_SKIN = "likeness.import_skin"
    EXPORT_SKIN = "likeness.export_skin"

    TRAIN_SPLATS = "likeness.train_splats"
    ADD_SPLATS = "likeness.add_splats"
    REMOVE_SPLATS = "likeness.remove_splats"
    EXPORT_SPLATS = "likeness.export_splats"

    FIX_CHECK = "likeness.fix_check"
    CREATE_ENVIRONMENT = "likeness.create_environment"
    CHECK_ENVIRONMENT = "likeness.check_environment"
    GET_LANDMARK_MODEL = "likeness.get_landmark_model"
    SHOW_PREFERENCES = "likeness.show_preferences"
