// FP8 E4M3 and INT8 forms of keys and values, with one scale per layer, tensor and head.
//
// Quantising rounds to nearest, ties to even, and cannot overflow: the scale is made from the
// largest magnitude of its head. E4M3's scales are powers of two, so that a token's codes change
// only with the token's values and with the binade of that magnitude; INT8's are magnitude / 127,
// which keeps all its 8 bits. Values that are not finite are refused, never encoded.
//
// Pure functions on the caller's thread; never the planning thread.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/context/context_layout.h"
#include "common/context/kv_buffer.h"

namespace automot::context {

inline constexpr float kE4M3Max = 448.0F;
inline constexpr float kInt8Max = 127.0F;

// Nearest code, ties to even; magnitudes above 448 and infinities saturate; NaN gives a NaN code.
uint8_t EncodeE4M3(float value);
// NaN for the two codes 0x7f and 0xff.
float DecodeE4M3(uint8_t code);
// Nearest code in [-127, 127], ties to even; saturates. Requires a value that is not NaN.
int8_t EncodeInt8(float value);

// `native` with the element type `type` in place of its own.
ContextLayout WithElementType(const ContextLayout& native, ContextLayout::ElementType type);

// Writes one layer of `from` (float32 or bfloat16) into `to`, of the same shape and a quantised
// type. OUT_OF_RANGE naming layer, tensor and head: a value is not finite. INVALID_ARGUMENT: the
// layouts do not fit each other, or there is no such layer.
absl::Status QuantiseLayer(const KvBuffer& from, int layer, KvBuffer& to);

// Writes every layer of `from` (quantised) into `to`, of the same shape and float32 or bfloat16.
// DATA_LOSS naming layer, tensor and head: a scale that is not finite and above 0, or a code that
// no encoder writes. INVALID_ARGUMENT: the layouts do not fit each other.
absl::Status Dequantise(const KvBuffer& from, KvBuffer& to);

}  // namespace automot::context
