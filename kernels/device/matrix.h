// Matrix units as functions of a team of lanes.
//
// All units multiply operands of 16 rows of 32 bytes (16 float16 or bfloat16, or 32 int8), both
// with k along the row, into a 16x16 sum, so that one GEMM serves them all. A unit has
//
//   kLanes                                   lanes of a team
//   struct Operand                           a lane's part of 16 x 32 bytes
//   template <class T> struct Sum            a lane's part of 16 x 16 of T
//   static void load(Operand&, tile, pitch)  from shared memory; rows `pitch` bytes apart, both
//                                            aligned to 16. By all lanes of the team
//   static void multiply<Element>(sum, a, b) sum[m][n] += a[m][k] b[n][k]; Element is Half,
//   BFloat16
//                                            (sums of float) or int8_t (of int)
//   static int row(i), column(i)             where value i of this lane's Sum stands
// Each has a hardware body where the compiler targets it, and a body for the executor that works on
// the fragments of all lanes and holds the layouts of the vendors' documents (named at each). Only
// hardware can prove those; precis-selftest does.
#pragma once

#include "kernels/device/numbers.h"

#include "kernels/device/matrix_plain.h"
#if !defined(__CUDACC__)
#include "kernels/device/matrix_cdna.h"
#include "kernels/device/matrix_rdna.h"
#endif
#if !defined(__HIP__)
#include "kernels/device/matrix_nvidia.h"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// The unit of the device that is compiled for. A struct of its own, so that a kernel has one name
// on the host and on all devices of a HIP build.
#if defined(__gfx90a__) || defined(__gfx942__)
struct DeviceMatrixUnit : CdnaUnit {};
#elif defined(__gfx1100__)
struct DeviceMatrixUnit : Rdna3Unit {};
#elif defined(__gfx1201__)
struct DeviceMatrixUnit : Rdna4Unit {};
#elif defined(__HIP__)
struct DeviceMatrixUnit : PlainUnit {};
#else
struct DeviceMatrixUnit : NvidiaUnit {};
#endif

}  // namespace precis::kernels::PRECIS_DEVICE
