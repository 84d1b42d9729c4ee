// As much of HIP as the device sources need from its headers, for clang alone:
//   clang++ -x hip -nogpuinc -nohipwrapperinc -nogpulib -DPRECIS_HIP_BARE --offload-arch=gfx942
// compiles them for every AMD target that it knows, with no package of ROCm. What the host's half
// calls is kernels/hip/modules.cpp's.
#pragma once

#include <cstddef>

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
// The second argument, blocks on a multiprocessor, has no counterpart in the attribute.
#define PRECIS_HIP_FIRST(threads, ...) threads
#define __launch_bounds__(...) \
  __attribute__((amdgpu_flat_work_group_size(1, PRECIS_HIP_FIRST(__VA_ARGS__, 0))))

struct dim3 {
  unsigned x, y, z;
  __host__ __device__ constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};

typedef struct ihipStream_t* hipStream_t;
typedef int hipError_t;
constexpr hipError_t hipSuccess = 0;
extern "C" {
hipError_t hipLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments,
                           size_t shared_bytes, hipStream_t stream);
hipError_t __hipPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes = 0,
                                      hipStream_t stream = nullptr);
hipError_t hipGetLastError();
const char* hipGetErrorString(hipError_t error);
}

namespace precis_hip_bare {
#define PRECIS_HIP_INDEX(Name, X, Y, Z)                                                 \
  struct Name {                                                                         \
    struct InX {                                                                        \
      __device__ __attribute__((always_inline)) operator unsigned() const { return X; } \
    };                                                                                  \
    struct InY {                                                                        \
      __device__ __attribute__((always_inline)) operator unsigned() const { return Y; } \
    };                                                                                  \
    struct InZ {                                                                        \
      __device__ __attribute__((always_inline)) operator unsigned() const { return Z; } \
    };                                                                                  \
    [[no_unique_address]] InX x;                                                        \
    [[no_unique_address]] InY y;                                                        \
    [[no_unique_address]] InZ z;                                                        \
  };
PRECIS_HIP_INDEX(ThreadIndex, __builtin_amdgcn_workitem_id_x(), __builtin_amdgcn_workitem_id_y(),
                 __builtin_amdgcn_workitem_id_z())
PRECIS_HIP_INDEX(BlockIndex, __builtin_amdgcn_workgroup_id_x(), __builtin_amdgcn_workgroup_id_y(),
                 __builtin_amdgcn_workgroup_id_z())
PRECIS_HIP_INDEX(GridSize, __builtin_amdgcn_grid_size_x() / __builtin_amdgcn_workgroup_size_x(),
                 __builtin_amdgcn_grid_size_y() / __builtin_amdgcn_workgroup_size_y(),
                 __builtin_amdgcn_grid_size_z() / __builtin_amdgcn_workgroup_size_z())
#undef PRECIS_HIP_INDEX
}  // namespace precis_hip_bare

#define threadIdx (::precis_hip_bare::ThreadIndex{})
#define blockIdx (::precis_hip_bare::BlockIndex{})
#define gridDim (::precis_hip_bare::GridSize{})

// A device function beside the host's memcpy; clang chooses by the caller.
extern "C" __device__ __attribute__((always_inline)) inline void* memcpy(void* to, const void* from,
                                                                         size_t bytes) {
  return __builtin_memcpy(to, from, bytes);
}

__device__ __attribute__((always_inline)) inline void __syncthreads() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
