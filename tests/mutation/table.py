"""Mutations: one change each that makes the method wrong, with the test files that must notice."""

from __future__ import annotations

from .mutation import Mutation

BASIS = ("model/test_frame_basis.py",)
SELECTION = ("model/training/test_early_stopping.py",)
BRIDGE = ("model/test_bridge.py",)
COUPLING = ("model/test_coupling.py",)
CLOCK = ("model/test_compression_clock.py",)
COMPRESSION = ("model/test_compressive_flow.py",)
DYNAMICS = ("model/test_dynamical_flow.py",)
PREFIX = ("model/test_nested_dropout.py",)
OBJECTIVE = ("model/training/test_objective.py",)
PHASES = ("model/training/test_phases.py",)
ROLLOUT = ("model/test_rollout.py", "model/test_dynamical_flow.py")
LINEAR = ("model/test_linear_system.py", "model/test_dynamical_flow.py")
UNET = ("model/test_unet.py",)
WINDOWS = ("model/training/test_batches.py",)
OPTIMISER = ("model/training/test_optimizer.py",)
HORIZON = ("estimator/test_rollout.py",)
RESULT = ("evaluation/test_result.py",)
VELOCITY = ("evaluation/test_velocity_field.py",)


MUTATIONS = [
    # bridges and targets
    Mutation("sign of u's target", "model/bridge.py", "return x1 - x0", "return x0 - x1", BRIDGE),
    Mutation("tau runs backwards", "model/bridge.py", "torch.lerp(x0, x1, tau)", "torch.lerp(x1, x0, tau)", BRIDGE),
    Mutation(
        "s runs backwards", "model/bridge.py", "torch.lerp(x_now, x_next, s)", "torch.lerp(x_next, x_now, s)", BRIDGE
    ),
    Mutation("sign of v's target", "model/bridge.py", "(x_next - x_now) / step", "(x_now - x_next) / step", BRIDGE),
    Mutation("v's target forgets dt", "model/bridge.py", "(x_next - x_now) / step", "(x_next - x_now)", BRIDGE),
    # what the objective shows to whom, and whose gradients go where
    Mutation(
        "endpoints without mask",
        "model/training/objective.py",
        "shown = mask if settings.masked_endpoints else None",
        "shown = None",
        OBJECTIVE,
    ),
    Mutation(
        "endpoints always masked",
        "model/training/objective.py",
        "shown = mask if settings.masked_endpoints else None",
        "shown = mask",
        OBJECTIVE,
    ),
    Mutation(
        "history without mask",
        "model/training/objective.py",
        "latents * (self.mask if rows.dim() == 1 else self.mask[:, None])",
        "latents * self.mask if rows.dim() == 1 else latents",
        OBJECTIVE,
    ),
    Mutation(
        "alignment without mask",
        "model/training/objective.py",
        "axes.place(samples.pick(samples.latents, samples.now) * mask)",
        "axes.place(samples.pick(samples.latents, samples.now))",
        OBJECTIVE,
    ),
    Mutation(
        "joined code detached",
        "model/training/objective.py",
        "samples.latents if settings.train_encoder_with_flows else samples.latents.detach()",
        "samples.latents.detach()",
        OBJECTIVE,
    ),
    Mutation(
        "code not detached",
        "model/training/objective.py",
        "latents = samples.latents if settings.train_encoder_with_flows else samples.latents.detach()",
        "latents = samples.latents",
        OBJECTIVE,
    ),
    Mutation(
        "endpoints move the axes",
        "model/training/objective.py",
        "        axes = axes if settings.train_encoder_with_flows else axes.detach()",
        "        pass",
        OBJECTIVE,
    ),
    Mutation(
        "flows move the axes",
        "model/training/objective.py",
        "flow_axes = axes if settings.train_encoder_with_flows else axes.detach()",
        "flow_axes = axes",
        OBJECTIVE,
    ),
    Mutation(
        "v sees a history that is attached",
        "model/training/objective.py",
        "history = history.detach()",
        "pass",
        OBJECTIVE,
    ),
    Mutation(
        "u sees one frame and is asked for the other",
        "model/training/objective.py",
        "endpoints.place(rows)\n        blur = ",
        "endpoints.place(samples.now)\n        blur = ",
        OBJECTIVE,
    ),
    Mutation(
        "u's bridge has no noise",
        "model/training/objective.py",
        "interpolate_compression(x0, x1, tau) + blur, tau",
        "interpolate_compression(x0, x1, tau), tau",
        OBJECTIVE,
    ),
    Mutation(
        "v's bridge has no noise",
        "model/training/objective.py",
        "interpolate_time(now, later, s) + noise",
        "interpolate_time(now, later, s)",
        OBJECTIVE,
    ),
    Mutation(
        "tau and s swapped for v",
        "model/training/objective.py",
        "+ noise, tau, s, history",
        "+ noise, s, tau, history",
        OBJECTIVE,
    ),
    Mutation(
        "no tau at zero", "model/training/objective.py", "fraction < config.tau_at_zero", "fraction < 0", OBJECTIVE
    ),
    Mutation(
        "tau steep in the wrong angle",
        "model/training/objective.py",
        "torch.tan(uniform * math.atan(1 / rho))",
        "torch.tan(uniform * math.atan(rho))",
        OBJECTIVE,
    ),
    Mutation(
        "losses ignore what is no pair",
        "model/losses.py",
        "(per_sample * weight).sum()",
        "per_sample.sum()",
        BRIDGE,
    ),
    # coupling and encoder
    Mutation(
        "scale is the variance",
        "model/axes.py",
        "scale = variance.sqrt()",
        "scale = variance",
        COUPLING,
    ),
    Mutation(
        "endpoint without the mean",
        "model/axes.py",
        "torch.addmm(self.mean, mu, self.up)",
        "mu @ self.up",
        COUPLING,
    ),
    Mutation(
        "kept part without mask",
        "model/axes.py",
        "(centred @ self.down) * mask",
        "centred @ self.down",
        COUPLING,
    ),
    Mutation(
        "projection without mask",
        "model/axes.py",
        "((vector @ self.directions) * mask)",
        "(vector @ self.directions)",
        COUPLING,
    ),
    Mutation(
        "smallest axes first",
        "model/principal_axes.py",
        "values.flip(0)[:most], axes.flip(1)[:, :most]",
        "values[:most], axes[:, :most]",
        COUPLING,
    ),
    Mutation(
        "axes are only scaled, not made orthogonal",
        "model/coupling.py",
        "torch.linalg.solve_triangular(upper, q, upper=True, left=False)",
        "q / upper.diagonal()",
        COUPLING,
    ),
    Mutation(
        "detached axes are attached",
        "model/axes.py",
        "getattr(self, field.name).detach()",
        "getattr(self, field.name)",
        OBJECTIVE,
    ),
    Mutation(
        "mu divided by the variance",
        "model/encoder.py",
        "clamp(min=VARIANCE_FLOOR).sqrt()\n        return mu",
        "clamp(min=VARIANCE_FLOOR)\n        return mu",
        COUPLING,
    ),
    Mutation("statistics move in use", "model/encoder.py", "if self.training:", "if True:", COUPLING),
    Mutation(
        "linear part reads the window's first frame",
        "model/encoder.py",
        "centred[:, self.window], centred",
        "centred[:, 0], centred",
        COUPLING,
    ),
    Mutation(
        "dropped channels are not made up for",
        "model/encoder.py",
        "uniform.ge_(self.dropout).div_(1 - self.dropout)",
        "uniform.ge_(self.dropout)",
        PHASES,
    ),
    # nested dropout and noise
    Mutation(
        "masks keep one axis more",
        "model/nested_dropout.py",
        "device=lengths.device) < lengths[:, None]",
        "device=lengths.device) <= lengths[:, None]",
        PREFIX,
    ),
    Mutation(
        "one K a step is one a sample",
        "model/nested_dropout.py",
        "shape = n if per_sample else 1",
        "shape = n",
        PREFIX,
    ),
    Mutation(
        "no K at dim",
        "model/nested_dropout.py",
        "lengths.masked_fill(fixed, dim)",
        "lengths",
        PREFIX,
    ),
    Mutation("noise of size one", "model/bridge.py", "return self.size * noise", "return noise", BRIDGE),
    Mutation(
        "noise as wide as the variance",
        "model/bridge.py",
        "(principal.variance - rest).clamp(min=0).sqrt()",
        "(principal.variance - rest).clamp(min=0)",
        BRIDGE,
    ),
    # compressive flow
    Mutation(
        "closed form with the wrong noise scale",
        "model/compressive_flow.py",
        "tau / deviation.square() * dropped",
        "tau / deviation * dropped",
        COMPRESSION,
    ),
    Mutation(
        "sign of the closed form",
        "model/compressive_flow.py",
        "tau / deviation.square() * dropped",
        "-tau / deviation.square() * dropped",
        COMPRESSION,
    ),
    Mutation(
        "wrong endpoint: dropped axes keep their size",
        "model/compressive_flow.py",
        "dropped * math.hypot(tau_to, self.rho)",
        "dropped * math.hypot(tau_from, self.rho)",
        COMPRESSION,
    ),
    Mutation(
        "integration forgets the change of variable",
        "model/compression_clock.py",
        "1 / (1 + self.tau_weight * deviation)",
        "1 / (1 + 0 * deviation)",
        COMPRESSION,
    ),
    Mutation(
        "kept axes are weighed as dropped ones",
        "model/compression_clock.py",
        "pace * (deviation - posterior)",
        "pace * posterior",
        COMPRESSION,
    ),
    Mutation("places are not found again", "model/compression_clock.py", "range(NEWTON_STEPS)", "range(0)", CLOCK),
    Mutation(
        "plain u does not see K",
        "model/compressive_flow.py",
        "torch.cat([condition, mask.expand(len(x), -1)], dim=-1)",
        "torch.cat([condition, 0 * mask.expand(len(x), -1)], dim=-1)",
        COMPRESSION,
    ),
    Mutation(
        "closed form along the axes too",
        "model/compressive_flow.py",
        "torch.addcmul(u, 1 - posterior, along)",
        "torch.addcmul(u, posterior, along)",
        COMPRESSION,
    ),
    Mutation("time runs backwards", "model/ode.py", "torch.tensor([t0, t1]", "torch.tensor([t1, t0]", COMPRESSION),
    # frames by their coordinates, and those of them that are held out
    Mutation(
        "what lies off the axes keeps its size",
        "model/frame_basis.py",
        "math.hypot(tau_to, rho) / math.hypot(tau_from, rho)",
        "1.0",
        BASIS,
    ),
    Mutation(
        "spectrum in the coordinates' unit",
        "model/dcf_model.py",
        "variance / self.basis.factor.square()",
        "variance",
        BASIS,
    ),
    Mutation(
        "windows reach into what is held out",
        "model/training/batches.py",
        "first=first, last=last, pairs=pairs",
        "first=self.first, last=self.last, pairs=pairs",
        SELECTION,
    ),
    Mutation(
        "frames held out are drawn",
        "model/training/batches.py",
        "return take_rows(self.rows, at)",
        "return at",
        SELECTION,
    ),
    # dynamical flow
    Mutation(
        "network of the data not run where it counts",
        "model/dynamical_flow.py",
        "torch.nonzero(tau[:, 0])",
        "torch.nonzero(tau[:, 0] == 0)",
        DYNAMICS,
    ),
    Mutation(
        "autoregression of the next longer prefix",
        "model/dynamical_flow.py",
        "self.ridge[rows.to(self.ridge.device), k - 1, :k]",
        "self.ridge[rows.to(self.ridge.device), k - 2, :k]",
        DYNAMICS,
    ),
    Mutation(
        "autoregression of K = 1 for every prefix",
        "model/dynamical_flow.py",
        "mask.sum(-1).long() - 1]",
        "0 * mask.sum(-1).long()]",
        DYNAMICS,
    ),
    Mutation(
        "whitening mixes what is kept with what is not",
        "model/dynamical_flow.py",
        "(by_latent * kept).flatten(1) @",
        "by_latent.flatten(1) @ self.whitening.T @",
        ROLLOUT,
    ),
    Mutation(
        "v off the axes sees noise at tau = 0",
        "model/dynamical_flow.py",
        "posterior = tau / (tau.square() + self.rho**2) * dropped",
        "posterior = dropped / (tau.square() + self.rho**2).sqrt()",
        ROLLOUT,
    ),
    # networks
    Mutation(
        "layers blind to tau and K",
        "model/networks.py",
        "torch.addmm(shift(embedded), x, weight.T)",
        "torch.addmm(0 * shift(embedded), x, weight.T)",
        COMPRESSION,
    ),
    Mutation(
        "images cropped on the wrong side",
        "model/unet.py",
        "[:, 0, :height, :width]",
        "[:, 0, -height:, -width:]",
        UNET,
    ),
    Mutation(
        "U-Net blind to codes",
        "model/unet.py",
        "torch.cat([*latents, condition.expand(len(planes), -1)], dim=1)",
        "torch.cat([*[0 * one for one in latents], condition.expand(len(planes), -1)], dim=1)",
        UNET,
    ),
    Mutation(
        "U-Net without coordinates",
        "model/unet.py",
        "convolve(self.coordinates,",
        "convolve(0 * self.coordinates,",
        UNET,
    ),
    # rollouts and rebuilding
    Mutation(
        "a rollout's history is oldest first",
        "model/rollout.py",
        "torch.cat([recall(model, state[:, None]), history[:, :-1]], dim=1)",
        "torch.cat([history[:, 1:], recall(model, state[:, None])], dim=1)",
        ROLLOUT,
    ),
    Mutation(
        "a rollout's history stands still",
        "model/rollout.py",
        "torch.cat([recall(model, state[:, None]), history[:, :-1]], dim=1)",
        "history",
        ROLLOUT,
    ),
    Mutation(
        "each frame starts at the first",
        "model/rollout.py",
        "integrate(rate, state, 0.0, 1.0",
        "integrate(rate, past[:, 0], 0.0, 1.0",
        ROLLOUT,
    ),
    Mutation(
        "s stays at zero in a rollout",
        "model/rollout.py",
        "at = s.expand(len(x), 1)",
        "at = 0 * s.expand(len(x), 1)",
        LINEAR,
    ),
    Mutation(
        "ensembles start with noise of size one",
        "model/rollout.py",
        "= config.bridge_noise * noise",
        "= 1.0 * noise",
        ROLLOUT,
    ),
    Mutation(
        "frames are rebuilt from u at tau = 1",
        "model/dcf_model.py",
        "self.u(x0, x0.new_zeros(1, 1), self.mask(k, x0[:1])",
        "self.u(x0, x0.new_ones(1, 1), self.mask(k, x0[:1])",
        COMPRESSION,
    ),
    Mutation(
        "history runs backwards along tau",
        "model/training/objective.py",
        "interpolate_compression(past, data, tau[:, None])",
        "interpolate_compression(data, past, tau[:, None])",
        OBJECTIVE,
    ),
    Mutation(
        "history oldest first",
        "model/training/batches.py",
        "torch.arange(self.history + 1, device=frames.device)",
        "torch.arange(self.history + 1, device=frames.device).flip(0)",
        WINDOWS,
    ),
    Mutation(
        "history crosses segments",
        "model/training/batches.py",
        "torch.maximum(frames[..., None] - lags, take_rows(self.first, frames)[..., None])",
        "(frames[..., None] - lags).clamp(min=0)",
        WINDOWS,
    ),
    Mutation(
        "gradients as large as they come",
        "model/training/optimizer.py",
        ".clamp(max=1.0))",
        ".clamp(min=1.0))",
        OPTIMISER,
    ),
    Mutation(
        "context beyond the segment",
        "model/training/context_heads.py",
        "inside.to(seen.dtype)",
        "torch.ones_like(inside).to(seen.dtype)",
        PHASES,
    ),
    # how far rollouts are said to reach
    Mutation(
        "horizon beyond the mean", "metrics/forecast.py", 'np.maximum(scores["stay"], 0)', 'scores["stay"]', HORIZON
    ),
    Mutation(
        "horizon beyond stay",
        "metrics/forecast.py",
        'np.maximum(scores["stay"], 0)',
        '0.0 * scores["stay"]',
        HORIZON,
    ),
    # what a fitted model says of recordings
    Mutation(
        "scores of unseen segments are of those that were fitted",
        "evaluation/encoded.py",
        "np.flatnonzero(chosen[whole.frames.segment])",
        "np.flatnonzero(~chosen[whole.frames.segment])",
        RESULT,
    ),
    Mutation(
        "velocities are per step",
        "estimator/fitted.py",
        "return np.asarray(found / self.step_s)",
        "return np.asarray(found)",
        VELOCITY,
    ),
]
