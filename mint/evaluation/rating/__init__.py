"""Human raters: what they are shown, and what their answers say."""
