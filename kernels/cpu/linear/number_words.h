// The numbers that codes of 4 or 8 bits stand for, as RowDot's rows multiply them: vectors of 32
// bfloat16 where the machine multiplies these, else of 8 float32. PRECIS_ROW_DOT is not defined
// where there is neither.
#pragma once

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
#define PRECIS_ROW_DOT 1
#define PRECIS_ROW_DOT_OF_BFLOAT16 1
#include "kernels/cpu/linear/number_words_avx512.h"
#elif defined(__AVX2__)
#define PRECIS_ROW_DOT 1
#include "kernels/cpu/linear/number_words_avx2.h"
#endif
