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

#ifndef PRECIS_ISA
#define PRECIS_ISA baseline
#endif

namespace precis::kernels {

// In rising order; each includes those before it. avx512_dot: AVX-512 with VBMI, VNNI and BF16, as
// Zen 4 and Sapphire Rapids have it; only products are compiled for it. amx: with tile registers
// besides, for products of many rows.
enum class Isa { baseline, avx2, avx512, avx512_dot, amx };

// Whether there are instructions for the dots of bytes and of bfloat16.
inline bool has_dot(Isa isa) {
  return isa == Isa::avx512_dot || isa == Isa::amx;
}

// The best instruction set of this machine; PRECIS_CPU=baseline|avx2|avx512|avx512_dot|amx lowers
// it. Found out once. [any thread]
Isa current_isa();

// "avx512".
const char* isa_name(Isa isa);

// The best of the machine, whatever PRECIS_CPU says: what tests run over.
Isa machine_isa();

}  // namespace precis::kernels
