#include "runtime/tensor/tensor_adapter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace precis {
namespace {

TEST(TensorView, SharesMemoryShapeAndStridesWithTheTensor) {
  const at::Tensor tensor = at::arange(12, at::kFloat).view({3, 4}).t();
  auto view = TensorView::of(tensor);
  ASSERT_TRUE(view.ok());
  const precis_view& abi = view->get()->view;
  EXPECT_EQ(abi.data, tensor.data_ptr());
  EXPECT_EQ(abi.ndim, 2);
  EXPECT_EQ(abi.shape[0], 4);
  EXPECT_EQ(abi.strides[0], 1);
  EXPECT_EQ(abi.strides[1], 4);
  EXPECT_EQ(abi.dtype.bits, 32);
  EXPECT_EQ(view->get()->nbytes, 48u);
}

TEST(TensorView, StartsWhereASliceStarts) {
  const at::Tensor tensor = at::arange(10, at::kFloat).narrow(0, 3, 2);
  auto view = TensorView::of(tensor);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(*static_cast<float*>(view->get()->view.data), 3.0f);
}

TEST(TensorView, ScalarsAndEmptyTensorsAreFine) {
  EXPECT_EQ(TensorView::of(at::zeros({}))->get()->view.ndim, 0);
  EXPECT_EQ(TensorView::of(at::zeros({0, 5}))->get()->nbytes, 0u);
}

TEST(TensorView, RefusesWhatTheAbiHasNoNameFor) {
  EXPECT_EQ(TensorView::of(at::zeros({1}, at::kComplexFloat)).error().code(),
            ErrorCode::unsupported);
  EXPECT_EQ(TensorView::of(at::empty({1}, at::TensorOptions().device(at::kMeta))).error().code(),
            ErrorCode::unsupported);
}

TEST(Dtypes, GoThereAndBack) {
  for (const DType dtype :
       {DType::boolean, DType::u8, DType::i8, DType::u16, DType::i32, DType::i64, DType::f16,
        DType::bf16, DType::f32, DType::f64, DType::f8_e4m3fn, DType::f8_e5m2}) {
    const auto type = scalar_type_of(dtype);
    ASSERT_TRUE(type.ok());
    EXPECT_EQ(*dtype_of(*type), dtype);
    EXPECT_EQ(at::elementSize(*type) * 8, dtype_bits(dtype));
  }
  EXPECT_FALSE(scalar_type_of(DType::f4_e2m1fn).ok());
}

TEST(TensorOver, IsTheMemoryItself) {
  std::array<float, 4> numbers{1, 2, 3, 4};
  const std::array<int64_t, 2> shape{2, 2};
  auto tensor = tensor_over(std::as_writable_bytes(std::span(numbers)), DType::f32, shape);
  ASSERT_TRUE(tensor.ok());
  tensor->add_(1);
  EXPECT_EQ(numbers[3], 5.0f);
}

TEST(EmptyPart, EncodedBlocksAreRowsOfBytes) {
  const auto part = empty_part({"weight", DType::u8, {4, 64}, 4 * 36, "gguf.q4_0"});
  ASSERT_TRUE(part.ok());
  EXPECT_EQ(part->sizes(), at::IntArrayRef({4, 36}));
  EXPECT_FALSE(empty_part({"weight", DType::f32, {4, 64}, 7, ""}).ok());
}

}  // namespace
}  // namespace precis
