"""What an invertible map must keep, by autograd: the helpers of the tests of flows."""

import torch


def shaken(module, scale=0.3, seed=0):
    """The module in float64, its parameters away from their tame beginnings."""
    g = torch.Generator().manual_seed(seed)
    module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=g).double())
    return module


def log_dets_by_autograd(module, x, context=None):
    """``log |det dz/dx|`` of each row from the whole Jacobian, float64 ``(B,)``."""
    found = []
    for i in range(len(x)):
        c = None if context is None else context[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda row, c=c: module(row.view(1, *x.shape[1:]), c)[0].flatten(), x[i].flatten()
        )
        found.append(torch.linalg.slogdet(jacobian).logabsdet)
    return torch.stack(found)


def check_bijection(module, x, context=None):
    """Log-determinant against autograd to 1e-8, and the inverse to 1e-10, in float64.

    Without gradients, inverting leaves its argument alone; undoing need not.
    """
    z, log_det = module(x, context)
    assert log_det.shape == (len(x),)
    expected = log_dets_by_autograd(module, x, context)
    torch.testing.assert_close(log_det, expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(module.inverse(z, context), x, rtol=0, atol=1e-10)
    with torch.no_grad():
        kept = z.clone()
        torch.testing.assert_close(module.inverse(z, context), x, rtol=0, atol=1e-10)
        torch.testing.assert_close(z, kept, rtol=0, atol=0)
        torch.testing.assert_close(module.inverse_(kept, context), x, rtol=0, atol=1e-10)
    assert not torch.allclose(z.flatten(), x.flatten(), atol=1e-3), "it does nothing"
