#include "core/abi/linear.h"

#include <fmt/format.h>

#include "core/abi/call.h"
#include "core/abi/plugin_call.h"
#include "core/abi/views.h"

namespace precis {
namespace {

const precis_linear_v1* table_of(const Quantizer& quantizer) {
  return static_cast<const precis_linear_v1*>(quantizer.extension(PRECIS_LINEAR_1));
}

Error no_table(const Quantizer& quantizer) {
  return Error(ErrorCode::plugin,
               fmt::format("plugin {}: method {} has no table {}", quantizer.plugin_id(),
                           quantizer.method(), PRECIS_LINEAR_1));
}

precis_linear_options to_abi(const LinearOptions& options) {
  precis_linear_options abi{};
  abi.struct_size = sizeof abi;
  abi.device = options.device;
  abi.activation = precis::to_abi(options.activation);
  abi.max_rows = options.max_rows;
  if (options.may_round_activations) abi.flags |= PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS;
  return abi;
}

}  // namespace

bool Linear::available(const Quantizer& quantizer) {
  return table_of(quantizer) != nullptr;
}

Result<LinearPlan> Linear::plan(const Quantizer& quantizer, const LinearOptions& options,
                                const Param& param) {
  const precis_linear_v1* table = table_of(quantizer);
  if (table == nullptr) return no_table(quantizer);
  const precis_linear_options abi_options = to_abi(options);
  const AbiParam abi_param(param);
  uint32_t flags = 0;
  PRECIS_ASSIGN(
      PartPlan parts,
      ask_for_plan(
          [&](const precis_call* call, precis_plan* plan) {
            return in_plugin(quantizer.during("planning the product of", param), call, [&] {
              return table->plan(quantizer.handle(), call, &abi_options, abi_param.get(), plan);
            });
          },
          &flags));
  return LinearPlan{std::move(parts.parts), parts.workspace_bytes,
                    (flags & PRECIS_LINEAR_KEEPS_PARTS) != 0};
}

Result<std::unique_ptr<Linear>> Linear::prepare(std::shared_ptr<const Quantizer> quantizer,
                                                const LinearOptions& options, const Param& param,
                                                std::span<const precis_tensor* const> parts,
                                                std::span<precis_tensor* const> packed,
                                                std::span<std::byte> workspace,
                                                const Place& where) {
  const precis_linear_v1* table = table_of(*quantizer);
  if (table == nullptr) return no_table(*quantizer);
  const precis_linear_options abi_options = to_abi(options);
  const AbiParam abi_param(param);
  std::unique_ptr<Linear> linear(new Linear());
  linear->table_ = table;
  const Call call(workspace, nullptr, where);
  const precis_status status =
      in_plugin(quantizer->during("preparing the product of", param), call.abi(), [&] {
        return table->prepare(quantizer->handle(), call.abi(), &abi_options, abi_param.get(),
                              parts.data(), parts.size(), packed.data(), packed.size(),
                              &linear->handle_);
      });
  PRECIS_TRY(call.finish(status, param.name));
  linear->quantizer_ = std::move(quantizer);
  linear->weight_ = param.name;
  return linear;
}

Linear::~Linear() {
  if (handle_ != nullptr) table_->destroy(handle_);
}

Status Linear::forward(const precis_tensor& x, const precis_tensor* bias, precis_tensor& y,
                       std::span<std::byte> workspace, const Place& where) const {
  const Call call(workspace, nullptr, where);
  return call.finish(in_plugin(during("multiplying by"), call.abi(),
                               [&] { return table_->forward(handle_, call.abi(), &x, bias, &y); }),
                     "");
}

Status Linear::unpack(std::span<precis_tensor* const> parts) const {
  const Call call;
  return call.finish(
      in_plugin(during("unpacking"), call.abi(),
                [&] { return table_->unpack(handle_, call.abi(), parts.data(), parts.size()); }),
      "");
}

PluginCall Linear::during(const char* doing) const {
  return {quantizer_->plugin_id().c_str(), doing, weight_.c_str()};
}

}  // namespace precis
