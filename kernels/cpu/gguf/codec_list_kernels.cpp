// The table of block types. Compiled once for each instruction set.
#include "kernels/cpu/gguf/codecs.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

const GgufCodecList& gguf_codecs() {
  static constexpr GgufCodec kCodecs[] = {
      {"f16", 1, 2, decode_f16, encode_f16},
      {"bf16", 1, 2, decode_bf16, encode_bf16},
      {"q8_0", 32, 34, decode_q8_0, encode_q8_0},
      {"q6_k", 256, 210, decode_q6_k, encode_q6_k},
      {"q5_k", 256, 176, decode_q5_k, encode_q5_k},
      {"q5_1", 32, 24, decode_q5_1, encode_q5_1},
      {"q5_0", 32, 22, decode_q5_0, encode_q5_0},
      {"q4_k", 256, 144, decode_q4_k, encode_q4_k},
      {"q4_1", 32, 20, decode_q4_1, encode_q4_1},
      {"q4_0", 32, 18, decode_q4_0, encode_q4_0},
      {"iq4_nl", 32, 18, decode_iq4_nl, encode_iq4_nl},
      {"iq4_xs", 256, 136, decode_iq4_xs, encode_iq4_xs},
      {"mxfp4", 32, 17, decode_mxfp4, encode_mxfp4},
      {"nvfp4", 64, 36, decode_nvfp4, encode_nvfp4},
      {"q3_k", 256, 110, decode_q3_k, encode_q3_k},
      {"iq3_s", 256, 110, decode_iq3_s, encode_iq3_s},
      {"iq3_xxs", 256, 98, decode_iq3_xxs, encode_iq3_xxs},
      {"q2_k", 256, 84, decode_q2_k, encode_q2_k},
      {"iq2_s", 256, 82, decode_iq2_s, encode_iq2_s},
      {"iq2_xs", 256, 74, decode_iq2_xs, encode_iq2_xs, true},
      {"iq2_xxs", 256, 66, decode_iq2_xxs, encode_iq2_xxs, true},
      {"tq2_0", 256, 66, decode_tq2_0, encode_tq2_0},
      {"tq1_0", 256, 54, decode_tq1_0, encode_tq1_0},
      {"iq1_m", 256, 56, decode_iq1_m, encode_iq1_m},
      {"iq1_s", 256, 50, decode_iq1_s, encode_iq1_s, true},
      {"q2_0", 64, 18, decode_q2_0, encode_q2_0},
      {"q1_0", 128, 18, decode_q1_0, encode_q1_0},
  };
  static constexpr GgufCodecList kList{kCodecs, sizeof kCodecs / sizeof kCodecs[0]};
  return kList;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
