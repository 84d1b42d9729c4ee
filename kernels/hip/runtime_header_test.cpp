// runtime_library.h and modules.cpp against AMD's own header, when this is compiled.
#define __HIP_DISABLE_CPP_FUNCTIONS__
#include <hip/hip_runtime_api.h>

#include <type_traits>

#include "kernels/hip/runtime_library.h"

namespace precis::kernels::hip {
namespace {

// Whether a value of one type is passed as one of the other is.
template <class A, class B>
constexpr bool same_value() {
  if constexpr (std::is_pointer_v<A> || std::is_pointer_v<B>)
    return std::is_pointer_v<A> && std::is_pointer_v<B>;
  else
    return std::is_class_v<A> == std::is_class_v<B> && sizeof(A) == sizeof(B);
}

template <class A, class B>
constexpr bool same_call = false;
template <class ResultA, class... As, class ResultB, class... Bs>
constexpr bool same_call<ResultA (*)(As...), ResultB (*)(Bs...)> = [] {
  if constexpr (sizeof...(As) == sizeof...(Bs))
    return same_value<ResultA, ResultB>() && (same_value<As, Bs>() && ...);
  else
    return false;
}();

// The exported one; the header has templates of the same name.
extern "C" hipError_t hipMallocAsync(void** memory, size_t bytes, hipStream_t stream);

#define PRECIS_HIP_COMPARE(name, Result, parameters) \
  static_assert(same_call<decltype(Runtime::name), decltype(&name)>, #name);
PRECIS_HIP_FUNCTIONS(PRECIS_HIP_COMPARE)

// What clang's objects call, defined in modules.cpp.
static_assert(
    same_call<decltype(&__hipPushCallConfiguration), Error (*)(dim3, dim3, size_t, Stream)>);
static_assert(
    same_call<decltype(&__hipPopCallConfiguration), Error (*)(dim3*, dim3*, size_t*, Stream*)>);
static_assert(same_call<decltype(&hipLaunchKernel),
                        Error (*)(const void*, dim3, dim3, void**, size_t, Stream)>);
static_assert(sizeof(dim3) == 3 * sizeof(unsigned) && std::is_trivially_copyable_v<dim3>);

static_assert(kSuccess == hipSuccess);
static_assert(kInvalidDeviceFunction == hipErrorInvalidDeviceFunction);
static_assert(kNoBinaryForGpu == hipErrorNoBinaryForGpu);
static_assert(kHostToDevice == hipMemcpyHostToDevice);
static_assert(kDeviceToHost == hipMemcpyDeviceToHost);

}  // namespace
}  // namespace precis::kernels::hip
