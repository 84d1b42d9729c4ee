// Instruction sets: what the machine has, and the namespace that a kernel source is compiled into.
//
// A source listed with precis_add_isa_sources is compiled once for each instruction set. PRECIS_ISA
// names the one at hand; everything such a source defines, inline functions of the headers
// included, stands in an inline namespace of that name. Two compilations of one inline function
// thus never share a symbol, and the linker cannot put AVX-512 code where the baseline belongs.
//
// The baseline compilation is the reference of every format: plain scalar loops in the order of the
// named library, with no lane of lanes.h. It is what golden outputs are compared with first, and
// what the variants_test beside each kernel holds the other compilations to, bit for bit.
#pragma once

#include <span>

#ifndef PRECIS_ISA
#define PRECIS_ISA baseline
#endif

namespace precis::kernels {

// Those of one machine in rising order, each including the ones before it. Only products are
// compiled for avx512_dot, neon_dot and neon_bf16.
enum class Isa {
  baseline,
  avx2,
  avx512,
  avx512_dot,  // with VBMI, VNNI and BF16, as Zen 4 and Sapphire Rapids have it
  amx,         // with tile registers besides, for products of many rows
  neon,        // of every 64-bit Arm
  neon_dot,    // with Armv8.2's dot products of bytes, as Neoverse N1 and Apple's M1 have them
  neon_bf16,   // with Armv8.6's of bfloat16 too, as Neoverse V1 and Apple's M2 have them
};

// Whether there is an instruction for the dots of bfloat16.
inline bool has_bfloat16_dot(Isa isa) {
  return isa == Isa::avx512_dot || isa == Isa::amx || isa == Isa::neon_bf16;
}

// What this machine has, in rising order, baseline first. [any thread]
std::span<const Isa> machine_isas();

// The best of them; PRECIS_CPU, set to the name of one, lowers it. Found out once. [any thread]
Isa current_isa();

// "avx512".
const char* isa_name(Isa isa);

}  // namespace precis::kernels
