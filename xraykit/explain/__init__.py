"""What a network learned: Grad-CAM, perturbed images, t-SNE, external validation."""
