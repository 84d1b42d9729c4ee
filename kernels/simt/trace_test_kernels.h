// Kernels with and without faults, compiled so that the tracer sees them. Each runs once.
#pragma once

namespace precis::simt {

void run_blocks_collide(int* out);                   // two blocks write one word
void run_blocks_add(int* out);                       // 8 blocks of 32 threads add 1 atomically
void run_without_block_barrier(float* out);          // [64], a warp barrier only
void run_reuse_without_barrier(float* out);          // [64], written again before all have read
void run_with_barriers(float* out);                  // [64], the same, right
void run_without_warp_barrier(float* out);           // [32]
void run_with_warp_barrier(float* out);              // [32]
void run_reads_unset(float* out);                    // [64]
void run_bank_conflict(float* out);                  // [32], 32 ways
void run_strided_read(const float* in, float* out);  // in[32 * 8], out[32]

}  // namespace precis::simt
