// Whether this machine's tile registers can be used.
#pragma once

namespace precis::kernels {

enum class TileState {
  none,     // the processor or the operating system has none
  refused,  // the kernel of the system gives this process no room for them
  wrong,    // products differ from their definition: they are left alone
  usable,
};

// Found out once. The first call asks the kernel for permission, which holds for the whole process,
// threads that run already included, and for what it forks; afterwards the stack of a signal
// handler must have room for 8 KiB more. [any thread]
TileState tile_state();

// "usable".
const char* tile_state_name(TileState state);

}  // namespace precis::kernels
