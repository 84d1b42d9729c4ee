// Plugins' loops on the threads that LibTorch computes with.
#pragma once

namespace precis {

// From now on loops of plugins in this process run on the threads of the OpenMP library that
// LibTorch was linked with, as torch's own loops do. Those threads go on spinning for a while after
// a loop: with a pool beside them, every change between a product of a plugin and an operation of
// torch makes the two wait for each other. A LibTorch without OpenMP leaves everything as it is.
// Called by every quantized layer that is made; later calls do nothing. [any thread]
void run_loops_on_openmp();

// The pool's again: for work whose tasks are threads of the pool, each of which would begin a team
// of OpenMP threads of its own. [any thread]
void run_loops_on_pool();

}  // namespace precis
