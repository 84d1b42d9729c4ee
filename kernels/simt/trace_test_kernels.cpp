#include "kernels/simt/trace_test_kernels.h"

#include "kernels/simt/intrinsics.h"

namespace precis::simt {
namespace {

template <class T, int Size>
T* shared_array() {
  static const char tag = 0;
  return shared_object<T[Size]>(&tag, "tile");
}

void swap_halves(float* out, bool block_barrier_between) {
  float* tile = shared_array<float, 64>();
  tile[threadIdx.x] = 1;
  if (block_barrier_between)
    __syncthreads();
  else
    warp_barrier();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

void fill_twice(float* out, bool barrier_before_reuse) {
  float* tile = shared_array<float, 64>();
  for (int i = 0; i < 2; ++i) {
    tile[threadIdx.x] = static_cast<float>(i);
    __syncthreads();
    out[threadIdx.x] = tile[63 - threadIdx.x];
    if (barrier_before_reuse) __syncthreads();
  }
}

void read_neighbour(float* out, bool barrier) {
  float* tile = shared_array<float, 32>();
  tile[threadIdx.x] = 1;
  if (barrier) warp_barrier();
  out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

void leave_last_unset(float* out) {
  float* tile = shared_array<float, 64>();
  if (threadIdx.x < 63) tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

void read_columns(float* out) {
  float* tile = shared_array<float, 32 * 32>();
  for (unsigned row = 0; row < 32; ++row) tile[32 * row + threadIdx.x] = 1;
  warp_barrier();
  float sum = 0;
  for (unsigned column = 0; column < 32; ++column) sum += tile[32 * threadIdx.x + column];
  out[threadIdx.x] = sum;
}

void write_one_word(int* out) {
  out[0] = static_cast<int>(blockIdx.x);
}
void add_one(int* out) {
  atomicAdd(out, 1);
}
void read_every_eighth(const float* in, float* out) {
  out[threadIdx.x] = in[8 * threadIdx.x];
}

}  // namespace

void run_blocks_collide(int* out) {
  launch("collide", dim3(2), dim3(1), 0, write_one_word, out);
}
void run_blocks_add(int* out) {
  launch("add", dim3(8), dim3(32), 0, add_one, out);
}
void run_without_block_barrier(float* out) {
  launch("swap_halves", dim3(1), dim3(64), 0, swap_halves, out, false);
}
void run_reuse_without_barrier(float* out) {
  launch("fill_twice", dim3(1), dim3(64), 0, fill_twice, out, false);
}
void run_with_barriers(float* out) {
  launch("fill_twice", dim3(1), dim3(64), 0, fill_twice, out, true);
  launch("swap_halves", dim3(1), dim3(64), 0, swap_halves, out, true);
}
void run_without_warp_barrier(float* out) {
  launch("read_neighbour", dim3(1), dim3(32), 0, read_neighbour, out, false);
}
void run_with_warp_barrier(float* out) {
  launch("read_neighbour", dim3(1), dim3(32), 0, read_neighbour, out, true);
}
void run_reads_unset(float* out) {
  launch("leave_last_unset", dim3(1), dim3(64), 0, leave_last_unset, out);
}
void run_bank_conflict(float* out) {
  launch("read_columns", dim3(1), dim3(32), 0, read_columns, out);
}
void run_strided_read(const float* in, float* out) {
  launch("read_every_eighth", dim3(1), dim3(32), 0, read_every_eighth, in, out);
}

}  // namespace precis::simt
