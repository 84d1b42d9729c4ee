# Device kernels: how their sources are compiled for the executor (kernels/simt) and its tracer.

# precis_trace_sources(SOURCE...): every load and store of these sources calls the tracer. The
# targets that use them link precis_simt_trace and never -fsanitize=thread.
function(precis_trace_sources)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-fsanitize=thread;-Wno-tsan;-O1")
endfunction()
