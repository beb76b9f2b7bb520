"""Which records each topic holds, so that one can be read without building the others."""

TOPICS = {  # module: names of its FORMULAS, in their order
    "effective_ridges": (
        "effective_ridge_equation effective_ridge_isotropic effective_ridge_slope effective_ridge_power_law "
        "ridge_isotropic"
    ),
    "degrees_of_freedom": (
        "degrees_of_freedom degrees_of_freedom_isotropic degrees_of_freedom_power_law "
        "degrees_of_freedom_power_law_finite power_law_trace power_law_label_variance"
    ),
    "clean_errors": (
        "clean_error clean_error_isotropic clean_error_isotropic_kappa generation_noise_level generation_error"
    ),
    "collapse_rates": (
        "collapse_rate collapse_rate_finite_size collapse_rate_isotropic collapse_rate_proportional "
        "collapse_rate_ridgeless chain_error"
    ),
    "finite_sizes": "least_squares_chain least_squares_chain_limit minimum_norm_error",
    "one_pass": "one_pass_error_isotropic one_pass_largest_step one_pass_stationary_error",
    "repeated_fits": (
        "interpolating_chain_noise_free interpolating_chain interpolating_chain_limit ridge_chain_isotropic "
        "ridge_chain_stationary noise_free_growth_exponent"
    ),
    "mixtures": (
        "mixture_price mixture_error mixture_price_isotropic mixture_price_ridgeless mixture_floor "
        "weighted_sources_equation"
    ),
    "label_mixing": "label_mixing label_mixing_limit label_mixing_best_share label_mixing_best_error",
    "accumulation": (
        "accumulation_error accumulation_least_squares accumulation_equal_rounds accumulation_limit "
        "accumulation_limit_many_samples"
    ),
    "workflows": "workflow_accumulate workflow_subsample growing_chain",
    "exponents": "bias_exponent noise_exponent clean_error_exponent collapse_exponent test_error_exponent",
    "optimal_exponents": (
        "critical_exponent clean_rate noise_margin optimal_exponent optimal_rate optimal_exponent_published "
        "optimal_rate_published saturated_rate"
    ),
    "crossovers": "dominance_ratio sample_crossover error_floor",
    "optimal_ridges": (
        "optimal_ridge_clean chain_error_isotropic optimal_ridge_equation provenance_correction "
        "general_provenance_correction"
    ),
    "optimal_teachers": "optimal_teacher_correlation optimal_teacher_error optimal_teacher_least_share",
    "gaussian_chains": (
        "gaussian_log_variance gaussian_deviation gaussian_mean_drift gaussian_variance "
        "gaussian_mean_drift_likelihood gaussian_accumulated_variance gaussian_accumulated_limit "
        "gaussian_accumulated_drift"
    ),
    "discrete_chains": (
        "discrete_loss discrete_diversity discrete_mixed_diversity discrete_mixed_limit "
        "discrete_accumulated_diversity discrete_accumulated_limit survival_step rare_category_alive"
    ),
    "rare_events": (
        "zipf_missing_mass zipf_modes zipf_missing_mass_many zipf_modes_many cut_missing_mass cut_floor "
        "cut_crossing nucleus_size nucleus_repeated plateau_error narrowed_missing_mass tempered_exponent "
        "narrowed_crossing finite_generator_founders"
    ),
    "founders": (
        "occupancy_step occupancy_variance occupancy_slope occupancy_gain mode_alive unseen_by_variable_founders "
        "zipf_modes_variance mixture_step mixture_founders_few founders_many_generations "
        "survival_many_generations growth_survival growth_rate pool_step pool_founders smoothing_share "
        "smoothed_mode_unseen mislabelled_error diversity_real_share zipf_half_survival equal_modes_first_loss "
        "equal_modes_half_loss symbol_half_life"
    ),
    "lost_information": (
        "zipf_entropy entropy_per_mass_first entropy_per_mass absolute_deviation rare_deviation "
        "zipf_total_variation expected_log_count rarefied_alive temperature_for_diversity"
    ),
    "random_features": (
        "random_features_equation random_features_slope feature_ratio random_features_gain random_features_missed "
        "random_features_error random_features_label_error random_features_price"
    ),
    "classes": (
        "sign_noise_ratio probit_noise_ratio soft_probit_noise_ratio clipped_noise_ratio soft_chain_map "
        "soft_chain_temperature angle_isotropic best_angle_isotropic class_chain_error probit_error_rate "
        "mean_angle_gap sign_error_perpendicular class_balance_map class_balance_threshold"
    ),
    "class_exponents": "class_error_exponent class_rate class_chain_error_early",
    "votes": "vote_share_noise_ratio majority_noise_ratio random_teacher_noise_ratio",
    "verification": (
        "verified_share verified_angle verified_strength verified_noise verified_error independent_verifier_angle "
        "verified_noise_ratio verified_chain_angle margin_noise_ratio best_margin best_margin_angle "
        "verified_regression_pull verified_regression_error"
    ),
    "self_distillation": "cross_risk self_distillation_weight self_distillation_error one_design_mixing",
}
