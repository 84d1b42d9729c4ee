// How a row of a weight hands its numbers to the sums of a RowDot. PRECIS_ROW_DOT is not defined
// where there is none for the instruction set.
#pragma once

#include "kernels/cpu/linear/number_words.h"

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
#include "kernels/cpu/linear/row_sums_avx512.h"
#elif defined(PRECIS_ROW_DOT)
#include "kernels/cpu/linear/row_sums_avx2.h"
#endif
