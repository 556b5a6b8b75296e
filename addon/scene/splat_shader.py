# SPDX-License-Identifier: GPL-3.0-or-later
"""The three shaders that draw Gaussians: pose and project each once, blend their quads, lay the picture over.

The first runs once per Gaussian, as a pixel of a picture of records, so that a quad's four corners do not
pose it four times. What it does is `core.splat.playback` and `core.splat.project_kernels` in GLSL: 0.3 px of
blur, nothing under 1/255, at most 0.99. Tables are those of `splat_pack`.
"""

from __future__ import annotations

from typing import Any

import gpu as _gpu

from .splat_pack import WIDTH

gpu: Any = _gpu  # the stubs do not know what its classes are made of

_CORNERS = "vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;"

_WHOLE = f"""
void main() {{
  {_CORNERS}
  gl_Position = vec4(corner, 0.0, 1.0);
}}
"""
"""The whole picture as a strip of two triangles."""

_RECORD = """
vec4 stored_part(int part, int i) {
  return texelFetch(stored, ivec2(i % WIDTH, part * counts.y + i / WIDTH), 0);
}
vec4 frame_row(int row, int triangle) {
  return texelFetch(frames, ivec2(triangle % WIDTH, row * counts.w + triangle / WIDTH), 0);
}
vec4 offset_part(int part, int i) {
  return texelFetch(offsets, ivec2(i % WIDTH, part * counts.y + i / WIDTH), 0);
}
float coefficient(int k, int i) {
  return texelFetch(harmonics, ivec2(i % WIDTH, (k >> 2) * counts.y + i / WIDTH), 0)[k & 3];
}
vec3 colour_of(int k, int i) {
  return vec3(coefficient(3 * k, i), coefficient(3 * k + 1, i), coefficient(3 * k + 2, i));
}
mat3 turned(vec4 q) {
  q /= max(length(q), 1e-10);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}
vec3 lit(int i, vec3 d) {
  vec3 c = 0.5 + 0.28209479177387814 * colour_of(0, i);
  if (DEGREE > 0) {
    c += 0.4886025119029199 * (-d.y * colour_of(1, i) + d.z * colour_of(2, i) - d.x * colour_of(3, i));
  }
  if (DEGREE > 1) {
    float xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
    c += 1.0925484305920792 * (d.x * d.y * colour_of(4, i) - d.y * d.z * colour_of(5, i));
    c += 0.31539156525252005 * (2.0 * zz - xx - yy) * colour_of(6, i);
    c += -1.0925484305920792 * d.x * d.z * colour_of(7, i) + 0.5462742152960396 * (xx - yy) * colour_of(8, i);
    if (DEGREE > 2) {
      c += -0.5900435899266435 * d.y * (3.0 * xx - yy) * colour_of(9, i);
      c += 2.890611442640554 * d.x * d.y * d.z * colour_of(10, i);
      c += -0.4570457994644658 * d.y * (4.0 * zz - xx - yy) * colour_of(11, i);
      c += 0.3731763325901154 * d.z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * colour_of(12, i);
      c += -0.4570457994644658 * d.x * (4.0 * zz - xx - yy) * colour_of(13, i);
      c += 1.445305721320277 * d.z * (xx - yy) * colour_of(14, i);
      c += -0.5900435899266435 * d.x * (xx - 3.0 * yy) * colour_of(15, i);
    }
  }
  return c;
}
void main() {
  place = vec4(0.0, 0.0, 0.0, HIDDEN);
  axes = vec4(0.0);
  paint = vec4(0.0);
  int i = int(gl_FragCoord.y) * WIDTH + int(gl_FragCoord.x);
  if (i >= counts.x) {
    return;
  }
  vec4 mean = stored_part(0, i), size = stored_part(1, i), turn = stored_part(2, i);
  int triangle = int(mean.w + 0.5);
  vec3 tint = vec3(0.0);
  for (int r = 0; r < counts.z; r++) {
    // The numbers stand behind the frames, in the row after them.
    float z = texelFetch(frames, ivec2(r, 3 * counts.w), 0).x;
    vec4 moved = offset_part(4 * r, i);
    mean.xyz += z * moved.xyz;
    size += z * vec4(offset_part(4 * r + 1, i).xyz, moved.w);
    turn += z * offset_part(4 * r + 2, i);
    tint += z * offset_part(4 * r + 3, i).xyz;
  }
  vec4 r0 = frame_row(0, triangle), r1 = frame_row(1, triangle), r2 = frame_row(2, triangle);
  mat3 affine = transpose(mat3(r0.xyz, r1.xyz, r2.xyz));
  vec3 point = affine * mean.xyz + vec3(r0.w, r1.w, r2.w);
  vec4 at = clip * vec4(point, 1.0);
  vec3 along = point * eye.w - eye.xyz;
  along /= max(length(along), 1e-20);
  vec4 nearer = clip * vec4(point - picture.z * along, 1.0);
  float fall = exp2(clamp(-1.4426950408889634 * size.w, -100.0, 100.0));
  float level = -log2(1.0 + fall);
  if (at.w <= 0.0 || abs(at.z) > at.w || level <= CUT) {
    return;
  }
  vec2 ndc = at.xy / at.w, held = clamp(ndc, -1.3, 1.3);
  vec3 row_w = vec3(clip[0].w, clip[1].w, clip[2].w);
  vec3 jx = (0.5 * picture.x / at.w) * (vec3(clip[0].x, clip[1].x, clip[2].x) - held.x * row_w);
  vec3 jy = (0.5 * picture.y / at.w) * (vec3(clip[0].y, clip[1].y, clip[2].y) - held.y * row_w);
  mat3 own = affine * turned(turn);
  vec3 spread = exp(clamp(size.xyz, -40.0, 40.0));
  vec3 mx = (jx * own) * spread, my = (jy * own) * spread;
  vec3 minors = cross(mx, my);
  float a = dot(mx, mx), b = dot(mx, my), c = dot(my, my);
  float det = dot(minors, minors) + 0.3 * (a + c) + 0.09;
  a += 0.3;
  c += 0.3;
  if (!(a < 1e12 && c < 1e12)) {
    return;
  }
  // The ellipse's own axes; the smaller variance by the determinant, which stays exact for needles.
  float wide = 0.5 * (a + c) + sqrt(max(0.25 * (a - c) * (a - c) + b * b, 0.0));
  float thin = det / wide;
  vec2 first = abs(b) > 1e-9 * wide ? (a > c ? vec2(wide - c, b) : vec2(b, wide - a))
                                    : (a >= c ? vec2(1.0, 0.0) : vec2(0.0, 1.0));
  first /= length(first);
  axes = vec4(first * sqrt(wide), vec2(-first.y, first.x) * sqrt(thin));
  place = vec4(ndc, nearer.w > 0.0 ? nearer.z / nearer.w : -1.0, level);
  if (DEGREE > 0) {
    mat3 rest_turn = mat3(
      texelFetch(rest, ivec2(triangle % WIDTH, triangle / WIDTH), 0).xyz,
      texelFetch(rest, ivec2(triangle % WIDTH, counts.w + triangle / WIDTH), 0).xyz,
      texelFetch(rest, ivec2(triangle % WIDTH, 2 * counts.w + triangle / WIDTH), 0).xyz);
    along = rest_turn * normalize(along * affine);
  }
  paint = vec4(max(lit(i, along) + tint, 0.0), sqrt(1.3862943611198906 * (level - CUT)));
}
"""

_QUAD = f"""
void main() {{
  {_CORNERS}
  int i = int(texelFetch(order, ivec2(gl_InstanceID % WIDTH, gl_InstanceID / WIDTH), 0).x + 0.5);
  ivec2 cell = ivec2(i % WIDTH, i / WIDTH);
  vec4 at = texelFetch(place, cell, 0), axis = texelFetch(axes, cell, 0), colour = texelFetch(paint, cell, 0);
  inside = corner * colour.w;
  shade = vec4(colour.xyz, at.w);
  vec2 away = inside.x * axis.xy + inside.y * axis.zw;
  gl_Position = at.w > HIDDEN ? vec4(at.xy + away * pixel, at.z, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
}}
"""

_FALLOFF = """
void main() {
  float power = shade.w - 0.7213475204444817 * dot(inside, inside);
  if (power < CUT) {
    discard;
  }
  if (tested != 0 && gl_FragCoord.z > texelFetch(scene_depth, ivec2(gl_FragCoord.xy), 0).x) {
    discard;
  }
  float alpha = min(exp2(power), 0.99);
  drawn = vec4(shade.xyz * alpha, alpha);
}
"""

_OVER = """
void main() {
  vec4 texel = texelFetch(source, ivec2(gl_FragCoord.xy), 0);
  vec3 value = clamp(texel.xyz, 0.0, 1.0);
  float through = 1.0 - clamp(texel.w, 0.0, 1.0);
  if (display != 0) {
    over = vec4(value, 1.0 - through);
    return;
  }
  // Blender mixes its overlay with the scene as powers of 2.2 of display values, whatever the view transform
  // (measured in 4.5 to 5.2); splats belong over the scene in display values themselves. The numbers are
  // chosen so that both give the same over black and over the backdrop.
  vec3 behind = backdrop.xyz, shown = pow(behind, vec3(1.0 / 2.2)), black = pow(value, vec3(2.2));
  vec3 wanted = pow(min(value + through * shown, 1.0), vec3(2.2));
  float kept = clamp(dot((wanted - black) / behind, vec3(1.0 / 3.0)), 0.0, 1.0);
  over = vec4(max(wanted - kept * behind, 0.0), 1.0 - kept);
}
"""


def project_shader(degree: int) -> Any:
    """Gaussians into records: place (ndc x, y, depth, log2 opacity), axes (px), paint (colour, reach)."""
    info = _info()
    info.define("DEGREE", str(degree))
    for slot, name in enumerate(("stored", "frames", "offsets", "harmonics", "rest")):
        info.sampler(slot, "FLOAT_2D", name)
    info.push_constant("MAT4", "clip")
    info.push_constant("VEC4", "eye")
    info.push_constant("VEC4", "picture")
    info.push_constant("IVEC4", "counts")
    for slot, name in enumerate(("place", "axes", "paint")):
        info.fragment_out(slot, "VEC4", name)
    return _made(info, _WHOLE, _RECORD)


def quad_shader() -> Any:
    """Records in an order into a picture of display values with premultiplied alpha."""
    info = _info()
    for slot, name in enumerate(("place", "axes", "paint", "order", "scene_depth")):
        info.sampler(slot, "FLOAT_2D", name)
    info.push_constant("VEC2", "pixel")
    info.push_constant("INT", "tested")
    between = gpu.types.GPUStageInterfaceInfo("likeness_splat")
    between.smooth("VEC2", "inside")
    between.flat("VEC4", "shade")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "drawn")
    return _made(info, _QUAD, _FALLOFF)


def over_shader() -> Any:
    """Such a picture over the viewport."""
    info = _info()
    info.sampler(0, "FLOAT_2D", "source")
    info.push_constant("VEC4", "backdrop")
    info.push_constant("INT", "display")
    info.fragment_out(0, "VEC4", "over")
    return _made(info, _WHOLE, _OVER)


def _info() -> Any:
    info = gpu.types.GPUShaderCreateInfo()
    info.define("WIDTH", str(WIDTH))
    info.define("CUT", "-7.994353436858858")
    info.define("HIDDEN", "-1000.0")
    return info


def _made(info: Any, vertex: str, fragment: str) -> Any:
    info.vertex_source(vertex)
    info.fragment_source(fragment)
    return gpu.shader.create_from_info(info)
