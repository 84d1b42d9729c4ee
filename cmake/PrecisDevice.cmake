# Device kernels on the executor (kernels/simt): how their sources are compiled for it.

# precis_trace_target(TARGET): every load and store of the target's sources calls the tracer. What
# uses the target links precis_simt_trace and never -fsanitize=thread.
function(precis_trace_target target)
  target_compile_options(${target} PRIVATE -fsanitize=thread -Wno-tsan -O1 -g1)
endfunction()

# precis_simt_target(TARGET): the target's device sources run on the executor.
function(precis_simt_target target)
  target_compile_definitions(${target} PUBLIC PRECIS_DEVICE_SIMT)
endfunction()
